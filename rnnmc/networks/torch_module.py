"""Recurrent layers of a torch.nn.Module: torch.nn.RNN, LSTM and GRU, and their cells, by their own arguments."""

from __future__ import annotations

from torch import nn

from rnnmc.networks.network import UNNAMED, Network, chosen
from rnnmc.networks.state_dict import of_arrays
from rnnmc.networks.step_module import can_step, read_step

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
NO_LAYER = "has no torch.nn.RNN, LSTM or GRU, nor a cell of theirs; give a module with one, or with step(x, state)"


def recurrent_layers(module: nn.Module) -> dict[str, nn.Module]:
    """name -> layer, for each recurrent one, the module itself included."""
    return {name or UNNAMED: one for name, one in module.named_modules() if isinstance(one, RECURRENT)}


def read_module(module: nn.Module, layer: str | None = None, place: str = "the module") -> Network:
    """The recurrent layer of this name in a module, or its only one. Raises UsageError.

    A module with a method `step` is taken for what this does, also where it has layers of torch inside.
    """
    if layer is None and (hasattr(module, "step") or (can_step(module) and not recurrent_layers(module))):
        return read_step(module, place)
    found = {
        name: lambda one=one, name=name: _network(one, name, place) for name, one in recurrent_layers(module).items()
    }
    return chosen(found, layer, place, NO_LAYER)


def _network(layer: nn.Module, name: str, place: str) -> Network:
    # by attribute and not from state_dict(), which knows a weight that is made of others by these alone
    names = (
        layer._flat_weights_names
        if isinstance(layer, nn.RNNBase)
        else [  # pyright: ignore[reportPrivateUsage]
            one for one in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if getattr(layer, one) is not None
        ]
    )
    prefix = "" if name == UNNAMED else f"{name}."
    arrays = {f"{prefix}{one}": getattr(layer, one).detach().cpu().double().numpy() for one in names}
    nonlinearity = getattr(layer, "nonlinearity", None)
    return of_arrays(arrays, place, None, nonlinearity)
