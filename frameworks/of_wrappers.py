"""What libraries that wrap PyTorch's recurrent layers really instantiate, and how what differs from these grows.

A library that hands over a layer of torch.nn unchanged is held to torch's law; what is drawn or stepped otherwise is
differentiated as the layers of `of_torch` are. Unlike the other scripts it writes its record itself: the argument is
where that goes.
"""

from __future__ import annotations

import inspect
import json
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from layers import AT, DRAWS, WIDTH, logs
from scipy import stats
from torch import nn

# torchvision's compiled part may be of another build than torch, and nothing here uses it
torch.library.register_fake = lambda *_, **__: lambda function: function


class Wrap(NamedTuple):
    """library, said: what a user writes. make(seed): what is in it. told: what a reader has to know. size, run: of what
    is not as torch has it, its state and run(module, x (1, 1), state) -> next state.
    """

    library: str
    said: str
    make: Callable[[int], nn.Module]
    told: str
    size: int = 0
    run: Any = None


def defaults(kind: Any, *names: str) -> str:
    """The defaults of these arguments, as one writes them."""
    of = inspect.signature(kind.__init__).parameters
    return ", ".join(f"{name} {of[name].default!r}" for name in names)


def layers_in(module: nn.Module) -> list[nn.Module]:
    """The recurrent layers and cells of torch in it."""
    return [one for one in module.modules() if isinstance(one, (nn.RNNBase, nn.RNNCellBase))]


def least_p(made: list[nn.Module]) -> float:
    """That all their weights and biases are U(-1/sqrt n, 1/sqrt n): Kolmogorov-Smirnov, weights and biases apart."""
    found = []
    for kind in ("weight", "bias"):
        entries = [
            (one.detach() * layer.hidden_size**0.5).ravel().numpy()
            for module in made
            for layer in layers_in(module)
            for name, one in layer.named_parameters()
            if name.startswith(kind)
        ]
        found.append(float(stats.kstest(np.concatenate(entries), stats.uniform(-1, 2).cdf).pvalue))
    return min(1.0, 2 * min(found))


def growth(wrap: Wrap) -> tuple[float, float]:
    """(mean, standard error) of the rate between 10 and 100 steps at m = 1, nats a step."""
    rates = []
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        module = wrap.make(seed).double().eval()

        def step(x, state, module=module):
            given = torch.tensor(x)[None]
            run = lambda s: wrap.run(module, given, s)  # noqa: E731
            jacobian = torch.autograd.functional.jacobian(run, torch.tensor(state), vectorize=True)
            return run(torch.tensor(state)).detach().numpy(), jacobian.numpy()

        inputs = np.random.default_rng(1000 + seed).standard_normal((AT[-1], 1))
        found = logs(step, inputs, wrap.size)[0]
        rates.append((found[-1] - found[AT.index(10)]) / 90)
    return float(np.mean(rates)), float(np.std(rates, ddof=1) / DRAWS**0.5)


def of_lstm(layer: nn.LSTM, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """One step of a single layer, of one replicate, whose h may be shorter than c."""
    p = layer.proj_size or layer.hidden_size
    _, (h, c) = layer(x[None], (state[None, None, :p], state[None, None, p:]))
    return torch.cat([h[0, 0], c[0, 0]])


def of_cell(cell: nn.Module, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """One step of a cell that takes (x, (h, c))."""
    _, (h, c) = cell(x, tuple(part[None] for part in state.chunk(2)))
    return torch.cat([h[0], c[0]])


def of_slstm(cell: nn.Module, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """One step of a cell that takes x, h and c."""
    return torch.cat([part[0] for part in cell(x, *(part[None] for part in state.chunk(2)))])


def of_darts() -> Iterator[Wrap]:
    from darts import TimeSeries
    from darts.models import RNNModel

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}

    def made(kind):
        series = TimeSeries.from_values(np.random.default_rng(0).standard_normal(12).astype(np.float32))
        model = RNNModel(
            4, kind, WIDTH, training_length=6, n_epochs=1, optimizer_kwargs={"lr": 0.0},
            pl_trainer_kwargs=quiet | {"enable_checkpointing": False},
        )  # fmt: skip
        model.fit(series)  # which is when darts makes it; at a learning rate of zero
        return model.model.rnn

    for kind in ("RNN", "LSTM", "GRU"):
        told = defaults(RNNModel, "model", "hidden_dim", "n_rnn_layers")
        yield Wrap("darts", f'RNNModel(model="{kind}")', lambda _, kind=kind: made(kind), told)


def of_gluonts() -> Iterator[Wrap]:
    from gluonts.torch.model.deepar.module import DeepARModel

    yield Wrap(
        "gluonts", "torch.DeepAREstimator", lambda _: DeepARModel("D", 8, 4, hidden_size=WIDTH, num_layers=2),
        defaults(DeepARModel, "num_layers", "hidden_size", "dropout_rate"),
    )  # fmt: skip


def of_forecasting() -> Iterator[Wrap]:
    import pandas as pd
    from pytorch_forecasting import DeepAR, RecurrentNetwork, TemporalFusionTransformer, TimeSeriesDataSet
    from pytorch_forecasting.layers import sLSTMCell

    frame = pd.DataFrame({"y": np.random.default_rng(0).standard_normal(40), "t": np.arange(40), "g": "a"})
    said = {"time_idx": "t", "target": "y", "group_ids": ["g"], "time_varying_unknown_reals": ["y"]}
    data = TimeSeriesDataSet(frame, max_encoder_length=8, max_prediction_length=4, **said)
    for kind in (RecurrentNetwork, DeepAR, TemporalFusionTransformer):
        layers = "lstm_layers" if kind is TemporalFusionTransformer else "rnn_layers"
        told = defaults(kind, "hidden_size", layers)
        make = lambda _, kind=kind: kind.from_dataset(data, hidden_size=WIDTH)  # noqa: E731
        yield Wrap("pytorch-forecasting", kind.__name__, make, told)
    told = "reset_parameters draws the gains of its four LayerNorms, too, U(-1/sqrt n, 1/sqrt n) instead of 1, "
    told += "with which it would be -.013(5)"
    make = lambda _: sLSTMCell(1, WIDTH)  # noqa: E731
    yield Wrap("pytorch-forecasting", "layers.sLSTMCell (of xLSTMTime)", make, told, 2 * WIDTH, of_slstm)


def of_neuralforecast() -> Iterator[Wrap]:
    """Each model begins with a seed of its own, which is 1 unless said, and so would every draw be the same."""
    from neuralforecast.models import GRU, LSTM, RNN, TFT, DeepAR, DilatedRNN

    for kind, width in ((RNN, "encoder_hidden_size"), (LSTM, "encoder_hidden_size"), (GRU, "encoder_hidden_size")):
        told = defaults(kind, "encoder_hidden_size", "encoder_n_layers", "recurrent")
        make = lambda seed, kind=kind, width=width: kind(4, 8, random_seed=seed, **{width: WIDTH})  # noqa: E731
        yield Wrap("neuralforecast", kind.__name__, make, told)
    for kind, width in ((DeepAR, "lstm_hidden_size"), (TFT, "hidden_size"), (DilatedRNN, "encoder_hidden_size")):
        make = lambda seed, kind=kind, width=width: kind(4, 8, random_seed=seed, **{width: WIDTH})  # noqa: E731
        yield Wrap("neuralforecast", kind.__name__, make, defaults(kind, width))

    def first(said, kind, seed):
        model = DilatedRNN(4, 8, cell_type=said, encoder_hidden_size=WIDTH, random_seed=seed)
        return next(one for one in model.modules() if type(one).__name__ == kind)

    made = {"AttentiveLSTM": "LSTMCell", "ResLSTM": "ResLSTMCell"}
    for said, kind in made.items():
        make = lambda seed, said=said, kind=kind: first(said, kind, seed)  # noqa: E731
        told = "all weights and biases N(0, 1), whatever the width"
        yield Wrap("neuralforecast", f'DilatedRNN(cell_type="{said}")', make, told, 2 * WIDTH, of_cell)
    told = "proj_size is the number of outputs: h is one number, and n units see one another through it alone"
    said = {"recurrent": True, "encoder_hidden_size": WIDTH, "encoder_n_layers": 1}
    make = lambda seed: LSTM(4, 8, random_seed=seed, **said).hist_encoder  # noqa: E731
    yield Wrap("neuralforecast", "LSTM(recurrent=True)", make, told, WIDTH + 1, of_lstm)


def of_sb3() -> Iterator[Wrap]:
    import gymnasium as gym
    from sb3_contrib.ppo_recurrent.policies import MlpLstmPolicy

    spaces = gym.spaces.Box(-1, 1, (4,)), gym.spaces.Discrete(2)
    make = lambda _: MlpLstmPolicy(*spaces, lambda _: 1e-3, lstm_hidden_size=WIDTH)  # noqa: E731
    told = (
        "ortho_init=True draws the layers around the LSTM anew, and not the LSTM; one for the actor, one for the critic"
    )
    yield Wrap("sb3-contrib", 'RecurrentPPO("MlpLstmPolicy")', make, told)


def of_pypots() -> Iterator[Wrap]:
    from pypots.nn.modules.brits import BackboneRITS
    from pypots.nn.modules.grud import BackboneGRUD
    from pypots.nn.modules.mrnn import BackboneMRNN

    decays = "before each step the state is multiplied by exp(-max(W d + b, 0)), d the time since a value was seen"
    for name, make, told in (
        ("BRITS", lambda _: BackboneRITS(8, 4, WIDTH), decays),
        ("GRUD", lambda _: BackboneGRUD(8, 4, WIDTH), decays),
        ("MRNN", lambda _: BackboneMRNN(8, 4, WIDTH), "one for each direction"),
    ):
        yield Wrap("pypots", name, make, told)


SOURCES = (of_darts, of_gluonts, of_forecasting, of_neuralforecast, of_sb3, of_pypots)


def found(wrap: Wrap) -> dict[str, Any]:
    """What is known of one of them."""
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        made.append(wrap.make(seed))
    inside = [type(one) for one in layers_in(made[0])]
    kinds = dict.fromkeys(
        next((of for of in kind.__mro__ if of.__module__.startswith("torch.nn")), kind) for kind in inside
    )
    one = {"library": wrap.library, "version": version(wrap.library), "said": wrap.said, "told": wrap.told}
    one["inside"] = [f"torch.nn.{kind.__name__}" for kind in kinds] or [type(made[0]).__name__]
    one["as_torch"] = float(f"{least_p(made):.2g}") if layers_in(made[0]) else None
    one["rate"] = [round(number, 5) for number in growth(wrap)] if wrap.run else None
    print(one, flush=True)
    return one


def main() -> None:
    every, failed = [], []
    for source in SOURCES:
        try:
            every += [found(wrap) for wrap in source()]
        except Exception as error:  # one library less, and the page says so
            failed.append(f"{source.__name__.removeprefix('of_')}: {type(error).__name__}: {error}")
            print(failed[-1], flush=True)
    said = {"python": platform.python_version(), "torch": torch.__version__, "date": date.today().isoformat()}
    text = json.dumps(said | {"wraps": every, "failed": failed}, indent=1)
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
