"""Whether the weights that a law allows can do it at all: a network that is searched for, told and left as files."""

from __future__ import annotations

import io
import json
import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rnnmc.chain.norms import SPECTRAL
from rnnmc.common.arrays import Floats
from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import write_whole
from rnnmc.networks.chains import GivenDraws, chain, chain_norms, trajectory
from rnnmc.networks.network import Layer
from rnnmc.networks.opening import opened
from rnnmc.networks.search import Ends, ascended, searched_over
from rnnmc.networks.state_dict import PYTORCH_CELLS, in_torch_names
from rnnmc.numerics.threads import one_thread
from rnnmc.observables.paths import Paths
from rnnmc.run.checks.sound import hold_sound
from rnnmc.store.tables import write_parquet
from rnnmc.study.options import in_rows
from rnnmc.study.point import DesignPoint, horizons_up_to

NETWORK, DRIVE = "network.pt", "drive.npy"
OPENINGS = ("forget", "input", "output", "update", "reset")  # gates that are sg(W x + U h + b)
OPEN_IN = {"lstm", "lstm_coupled", "gru", "gru_reset_after", "gru_tied", "gru_output_gated", "janet", "ligru"}
READ_AGAIN = 1e-8  # nats by which the log-norm of the file may differ from that of the search


@dataclass(frozen=True)
class Wanted:
    """What is searched for. grow: a norm above the threshold at the last horizon, or one below it."""

    point: DesignPoint
    grow: bool
    threshold: float
    starts: int = 64
    rounds: int = 300
    hold_drive: bool = False

    def check(self) -> None:
        """Raise UsageError where a number cannot be, or the point cannot be searched."""
        for name, value, most in (("--starts", self.starts, 10_000), ("--rounds", self.rounds, 100_000)):
            if not 1 <= value <= most:
                raise UsageError(f"{name}: {value} is not possible; give a whole number from 1 to {most}")
        if not 0 < self.threshold < math.inf:
            raise UsageError(f"--threshold: {self.threshold:g} is not possible; give a finite number above 0")
        searched_over(self.point, self.hold_drive)
        hold_sound(self.point)


@dataclass(frozen=True)
class Search:
    """What came of it.

    ends: the networks found, the one that came furthest first, with what each read. starts: where each ascent began
    and ended. gates: the log-norm of the best network without the recurrent, and without the input weights of each
    gate, and how far a gate is open in the mean. paths: of cells with a main term, log-norm by step and path. reached:
    how many starts have.
    """

    wanted: Wanted
    ends: Ends
    starts: pl.DataFrame
    gates: pl.DataFrame
    paths: pl.DataFrame
    reached: int

    @property
    def best(self) -> Ends:
        """The network that came furthest, alone."""
        return self.ends.of(slice(0, 1))

    def verdict(self) -> str:
        """`reached, at this network: ...`, or that it was not."""
        asked, steps = self.wanted, self.wanted.point.horizons[-1]
        log_norm, side = float(self.best.log_norm[0]), "above" if asked.grow else "below"
        said = (
            f"log-norm {log_norm:.4g} at step {steps}, {side} log {asked.threshold:g} = {math.log(asked.threshold):.4g}"
        )
        if self.reached:
            return (
                f"reached, at this network: {said}; so by {self.reached} of {asked.starts} starts. It and all networks "
                "near it are among those that the laws draw, so the probability is not zero; how large, no search says"
            )
        return (
            f"not reached by search: log-norm {log_norm:.4g} at step {steps} is the furthest of {asked.starts} starts, "
            f"not {side} log {asked.threshold:g} = {math.log(asked.threshold):.4g}. That says nothing of a probability"
        )

    def document(self) -> dict[str, Any]:
        """The verdict and every table, for programs."""
        tables = {"starts": self.starts, "gates": self.gates, "paths": self.paths}
        said = {"verdict": self.verdict(), "reached": self.reached, "point": self.wanted.point.written()}
        said |= {"threshold": self.wanted.threshold, "log_norm": float(self.best.log_norm[0])}
        said |= {"searched": searched_over(self.wanted.point, self.wanted.hold_drive)}
        return said | {name: in_rows(frame) for name, frame in tables.items()}

    def write(self, folder: Path) -> str | None:
        """Leave everything in `folder`; the command that inspects the network afresh, where it is a layer of PyTorch.

        The file is read again, and its chain run again: RunError where that gives another norm.
        """
        import torch

        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "search.json", json.dumps(self.document(), allow_nan=False).encode())
        for name in ("starts", "gates", "paths"):
            write_parquet(folder / f"{name}.parquet", getattr(self, name))
        content = io.BytesIO()
        np.save(content, self.best.x[:, 0])
        write_whole(folder / DRIVE, content.getvalue())
        cell = self.best.layer.cell.name
        if cell not in PYTORCH_CELLS or self.wanted.point.state_std:
            return None
        content = io.BytesIO()
        torch.save({name: torch.from_numpy(one) for name, one in in_torch_names(self.best.layer).items()}, content)
        write_whole(folder / NETWORK, content.getvalue())
        relu = "relu" if cell == "relu" else None
        (layer,) = opened(str(folder / NETWORK), nonlinearity=relu).layers
        steps, x = self.wanted.point.horizons[-1], np.load(folder / DRIVE)[:, None]
        again = float(chain_norms(layer, x, [steps])[SPECTRAL][0, 0])
        if not math.isclose(again, float(self.best.log_norm[0]), abs_tol=READ_AGAIN):
            raise RunError(f"{folder / NETWORK}: read again it has the log-norm {again}, not {self.best.log_norm[0]}")
        network, drive = (shlex.quote(str(folder / name)) for name in (NETWORK, DRIVE))
        words = f"rnnmc inspect {network} --series {drive} --steps {steps}"
        return words + (" --nonlinearity relu" if relu else "")


def searched(wanted: Wanted) -> Search:
    """Search. Raises UsageError before anything runs."""
    wanted.check()
    point = wanted.point
    found = ascended(point, wanted.grow, wanted.starts, wanted.rounds, wanted.hold_drive, point.seed)
    order = np.argsort(-found.log_norm if wanted.grow else found.log_norm)
    ends = found.of(order)
    beyond = found.log_norm > math.log(wanted.threshold) if wanted.grow else found.log_norm < math.log(wanted.threshold)
    starts = pl.DataFrame({"start": order, "drawn": found.drawn[order], "found": found.log_norm[order]})
    best = ends.of(slice(0, 1))
    paths = pl.DataFrame(list(_path_rows(best)), infer_schema_length=None)
    return Search(wanted, ends, starts, pl.DataFrame(list(_gate_rows(best))), paths, int(beyond.sum()))


def _gate_rows(best: Ends) -> Iterator[dict[str, Any]]:
    layer, cell = best.layer, best.layer.cell
    openings = _openings(best)
    for gate in dict.fromkeys((*cell.gates, *cell.recurrent)):
        row: dict[str, Any] = {"gate": gate, "opening": openings.get(gate)}
        for role in ("recurrent", "inputs"):
            weights = getattr(layer, role)
            without = (
                replace(layer, **{role: {**weights, gate: np.zeros_like(weights[gate])}}) if gate in weights else None
            )
            row[f"without_{role}"] = None if without is None else _log_norm(without, best)
        bias = (
            None
            if gate not in cell.gates
            else replace(layer, bias={**layer.bias, gate: np.zeros_like(layer.bias[gate])})
        )
        yield row | {"without_bias": None if bias is None else _log_norm(bias, best)}


def _log_norm(layer: Layer, best: Ends) -> float | None:
    log_norm = float(chain_norms(layer, best.x, [len(best.x)], best.state)[SPECTRAL][0, 0])
    return log_norm if math.isfinite(log_norm) else None


def _openings(best: Ends) -> dict[str, float]:
    """gate -> how far it is open, in the mean over steps and units; from a start at zero alone."""
    layer = best.layer
    if any(part.any() for part in best.state) or layer.cell.name not in OPEN_IN:
        return {}
    h = trajectory(layer, best.x)[0][:-1, 0]  # (T, n)
    found = {}
    for gate in layer.cell.gates:
        if gate in OPENINGS and gate in layer.recurrent:
            a = best.x[:, 0] @ layer.inputs[gate][0].T + h @ layer.recurrent[gate][0].T + layer.bias[gate][0]
            found[gate] = float((1 / (1 + np.exp(-a))).mean())
    return found


class _Looked:
    """What `Paths` asks of a design point."""

    def __init__(self, layer: Layer, horizons: tuple[int, ...]):
        self.cell_object, self.width, self.horizons = layer.cell, layer.width, horizons


def _path_rows(best: Ends) -> Iterator[dict[str, Any]]:
    """Step, path and log_norm, along the best network."""
    layer = best.layer
    horizons = tuple(sorted({*horizons_up_to(len(best.x), 20), len(best.x)}))
    if layer.cell.main_term is None:
        norms: Floats = chain_norms(layer, best.x, horizons, best.state)[SPECTRAL][0]
        yield from (
            {"step": at, "path": "joint", "log_norm": float(one)} for at, one in zip(horizons, norms, strict=True)
        )
        return
    point: Any = _Looked(layer, horizons)
    draws = GivenDraws(layer, best.x, best.state)
    with one_thread():
        watch = Paths().watch(point, draws.layout, draws.state(), ())
        for _ in chain(draws, horizons, (watch,)):
            pass
    index, found = Paths().index(point), watch.values()[SPECTRAL][0]
    for step, path, log_norm in zip(index["horizon"], index["path"], found, strict=True):
        yield {"step": int(step), "path": str(path), "log_norm": float(log_norm) if np.isfinite(log_norm) else None}
