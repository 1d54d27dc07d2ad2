"""Which format a network comes in, told from what is in its file, and the network that it holds."""

from __future__ import annotations

import importlib
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rnnmc.common.errors import UsageError, raised
from rnnmc.networks.network import Network

KNOWN = "give a state_dict of PyTorch (.pt), .safetensors, .onnx, .keras, .weights.h5, or module:factory"


def opened(what: str, layer: str | None = None, nonlinearity: str | None = None) -> Network:
    """The recurrent layer of a file, or of the module that module:factory makes.

    layer: its name, where there are several. nonlinearity: tanh or relu, of an RNN whose file does not say it. Raises
    UsageError, also where a weight is not finite. No file is executed; what `module:factory` names is, as any import.
    """
    network = _opened(what, layer, nonlinearity)
    for one in network.layers:
        for kind in ("recurrent", "inputs", "bias", "vectors"):
            for name, array in getattr(one, kind).items():
                if wrong := np.count_nonzero(~np.isfinite(array)):
                    told = f"{wrong} of {array.size} numbers of {kind} {name} are NaN or infinite"
                    raise UsageError(f"{what}: layer {one.name}: {told}; give a checkpoint from before it diverged")
    return network


def _opened(what: str, layer: str | None, nonlinearity: str | None) -> Network:
    if nonlinearity not in (None, "tanh", "relu"):
        raise UsageError(f"--nonlinearity: {nonlinearity} is not known; give tanh or relu")
    path = Path(what)
    if not path.exists() and ":" in what:
        return _made(what, layer)
    if not path.is_file():
        raise UsageError(f"{what} is {'a folder' if path.is_dir() else 'not there'}; {KNOWN}")
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise UsageError(f"{what} cannot be read ({error.strerror}); {KNOWN}") from None
    kind = _kind(path, start)
    if kind == "torch":
        from rnnmc.networks.state_dict import read_checkpoint

        return read_checkpoint(what, layer, nonlinearity)
    if kind == "safetensors":
        from rnnmc.networks.state_dict import read_safetensors

        return read_safetensors(what, layer, nonlinearity)
    if kind == "keras":
        from rnnmc.networks.keras_file import read_keras

        return read_keras(what, layer)
    if kind == "onnx":
        from rnnmc.networks.onnx_file import read_onnx

        return read_onnx(what, layer)
    raise UsageError(f"{what} is no file that is known here; {KNOWN}")


def _kind(path: Path, start: bytes) -> str:
    """The format of this file; "" where it is none that is known."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
        if "config.json" in names or any(name.endswith(".weights.h5") for name in names):
            return "keras"
        return "torch" if any(name.endswith("data.pkl") for name in names) else ""
    if start.startswith(b"\x89HDF"):
        return "keras"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size:
        return "safetensors"
    if path.suffix == ".onnx":
        return "onnx"
    return "torch" if start[:1] == b"\x80" or path.suffix in (".pt", ".pth", ".ckpt", ".bin") else ""


def _made(what: str, layer: str | None) -> Network:
    """Of the module that a callable of somebody's own gives."""
    from torch import nn

    from rnnmc.networks.torch_module import read_module

    module = _called(what)
    if not isinstance(module, nn.Module):
        raise UsageError(f"{what} gives a {type(module).__name__}; let it give a torch.nn.Module")
    return read_module(module, layer, what)


def _called(what: str) -> Any:
    name, _, attribute = what.partition(":")
    if str(Path.cwd()) not in sys.path:  # as `python -m` does: somebody's own module lies where they work
        sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(name), attribute)
        return made() if callable(made) else made
    except (Exception, SystemExit) as error:  # whatever somebody's own code does
        how = "give module:factory, a callable without arguments"
        raise UsageError(f"{what} cannot be made ({raised(error)}); {how}") from None
