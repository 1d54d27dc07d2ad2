"""A given network, inspected: how long its gradient lasts, how fast it grows, and where; beside fresh networks.

Everything is measured along the network's own trajectory over several input sequences, and the spread over these is the
interval. Rates and lags are those of the spectral norm.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from rnnmc.cells.cell import Cell
from rnnmc.chain.norms import MEASURES, RMS
from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.networks.chains import GivenDraws, Reading, chain, chain_norms, readings
from rnnmc.networks.fresh import TILE, fresh_networks
from rnnmc.networks.inputs import inputs_of
from rnnmc.networks.network import Network, joint
from rnnmc.networks.opening import opened
from rnnmc.numerics.threads import one_thread
from rnnmc.observables.paths import Paths
from rnnmc.statistics.point import point_statistics
from rnnmc.study.options import in_rows
from rnnmc.study.point import horizons_up_to
from rnnmc.study.study import Thresholds

PER_DECADE = 4  # lags, each of which is a chain of its own
LOW, HIGH = 0.05, 0.95  # quantiles over sequences


@dataclass(frozen=True)
class Asked:
    """What is asked of a network.

    series: as `rnnmc.networks.inputs.inputs_of` takes it. steps: T, of each of the sequences. layer, nonlinearity: see
    `rnnmc.networks.opening.opened`. init: of fresh networks; None: the preset of the framework. fresh: how many.
    place: the option that says the series, for what is refused. horizons: lags at which norms are told, the last of
    them `steps`; some a decade where there are none.
    """

    series: Any
    thresholds: Thresholds
    steps: int = 1000
    sequences: int = 32
    layer: str | None = None
    nonlinearity: str | None = None
    init: Any = None
    fresh: int = 1000
    seed: int = 7888
    place: str = "--drive"
    horizons: tuple[int, ...] = ()

    @property
    def lags(self) -> list[int]:
        """Rising, the last of them `steps`."""
        return list(self.horizons or horizons_up_to(self.steps, PER_DECADE))

    def check(self) -> None:
        """Raise UsageError where a number cannot be."""
        for name, value, least, most in (
            ("--steps", self.steps, 2, 100_000), ("--sequences", self.sequences, 1, 10_000),
            ("--fresh", self.fresh, 0, 1_000_000),
        ):  # fmt: skip
            if not least <= value <= most:
                raise UsageError(f"{name}: {value} is not possible; give a whole number from {least} to {most}")
        if self.horizons and [*self.horizons] != sorted({one for one in self.horizons if one > 0}):
            said = ",".join(map(str, self.horizons))
            raise UsageError(f"--horizons: {said} cannot be; give steps of at least 1, each once, in rising order")


@dataclass(frozen=True)
class Inspection:
    """What was found, of one network or of several.

    layers: one row a network and layer, how fast its gradient grows and how long it lasts. lags: by lag from the last
    step and by step from the first. paths: of cells with a main term. statistics: of the chains from the first step
    on, as `rnnmc measure` has them, a replicate being a sequence. notes: a sentence each.
    """

    inputs: str
    asked: Asked
    names: tuple[str, ...]
    layers: pl.DataFrame
    lags: pl.DataFrame
    paths: pl.DataFrame
    statistics: pl.DataFrame
    notes: tuple[str, ...]

    def as_json(self) -> str:
        """Every table, row by row."""
        said = {"inputs": self.inputs, "steps": self.asked.steps, "networks": self.names, "notes": self.notes}
        tables = {"layers": self.layers, "lags": self.lags, "paths": self.paths, "statistics": self.statistics}
        return json.dumps(said | {name: in_rows(frame) for name, frame in tables.items()}, allow_nan=False)


def inspected(whats: list[str], asked: Asked) -> Inspection:
    """Inspect the network of each of these sources along the same inputs. Raises UsageError before anything runs."""
    asked.check()
    networks = [opened(what, asked.layer, asked.nonlinearity) for what in whats]
    first = networks[0]
    for what, network in zip(whats, networks, strict=True):
        if network.dimension != first.dimension:
            raise UsageError(
                f"{what}: reads {network.dimension} inputs, and {whats[0]} reads {first.dimension}; "
                "give networks that read the same series"
            )
    x, label = inputs_of(asked.series, first.dimension, asked.steps, asked.sequences, asked.seed, asked.place)
    fresh = {}
    for network in networks:  # two checkpoints of one network share the fresh ones
        if network.preset and asked.fresh and _shape(network) not in fresh:
            fresh[_shape(network)] = fresh_networks(network, asked.init or network.preset, asked.fresh, asked.seed)
    rates = {shape: _fresh_rates(tiles, x) for shape, tiles in fresh.items()}
    names = _names(whats)
    found = [
        _Found(name, network, x, asked, rates.get(_shape(network), {}))
        for name, network in zip(names, networks, strict=True)
    ]
    tables = (pl.DataFrame([row for one in found for row in rows(one)], infer_schema_length=None)
              for rows in (_Found.layer_rows, _Found.lag_rows, _Found.path_rows))  # fmt: skip
    statistics = pl.concat(frame for one in found for frame in one.statistics())
    notes = dict.fromkeys(note for network in networks for note in network.notes)
    return Inspection(label, asked, names, *tables, statistics=statistics, notes=tuple(notes))


def _names(whats: list[str]) -> tuple[str, ...]:
    """Short names that differ."""
    short = [Path(what).name for what in whats]
    return tuple(short if len(set(short)) == len(short) else whats if len(set(whats)) == len(whats) else
                 [f"{name} ({number})" for number, name in enumerate(short, 1)])  # fmt: skip


def _shape(network: Network) -> Any:
    return network.preset, tuple(layer.shape for layer in network.layers), network.shown


def chains_of(network: Network, x: Floats) -> Iterator[tuple[str, Reading]]:
    """(name, what it reads) of each layer, and before them of all layers as one where they are a stack."""
    whole = joint(network)
    if whole is not None:
        yield whole.name, Reading(whole, x)
    for reading in readings(network, x):
        yield reading.layer.name, reading


def growth_rates(logs: Floats, horizons: list[int]) -> Floats:
    """Nats a step between the last two horizons, of log-norms (R, horizons); -inf of a chain that has died."""
    with np.errstate(invalid="ignore"):
        rate = (logs[:, -1] - logs[:, -2]) / (horizons[-1] - horizons[-2])
    return np.where(np.isinf(logs[:, -1]), logs[:, -1], rate)


def lasting(lags: list[int], logs: Floats, thresholds: Thresholds) -> tuple[Floats, Floats]:
    """(R,) lags, in steps, at which the log-norms (R, lags) first fall below and rise above the thresholds; inf: never.

    Between two lags of the grid the log-norm is taken as linear; it is 0 at lag 0, which may be beyond a threshold.
    """
    at = np.array([0, *lags], float)
    found = []
    for sign, bound in ((-1, math.log(thresholds.vanish)), (1, math.log(thresholds.explode))):
        height = sign * np.hstack([np.zeros((len(logs), 1)), logs])  # rises through the bound
        beyond = height > sign * bound
        first = np.where(beyond.any(1), beyond.argmax(1), 0)
        each = np.arange(len(logs))
        above, below = height[each, first], height[each, np.maximum(first - 1, 0)]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(np.isfinite(above), (sign * bound - below) / (above - below), 1.0)
            lag = at[np.maximum(first - 1, 0)] + part * (at[first] - at[np.maximum(first - 1, 0)])
        found.append(np.where(first > 0, lag, np.where(beyond[:, 0], 0.0, np.inf)))
    return found[0], found[1]


def _fresh_rates(tiles: Iterator[Network], x: Floats) -> dict[str, Floats]:
    """Name of a chain -> growth rates of fresh networks, each along one of the sequences; where no layer lies below."""
    found: dict[str, list[Floats]] = {}
    horizons = _two_horizons(len(x))
    for at, network in enumerate(tiles):
        count = len(next(iter(network.layers[0].bias.values())))
        own = x[:, (at * TILE + np.arange(count)) % x.shape[1]]
        for name, reading in chains_of(network, own):
            if name != "all layers" and reading.layer not in network.levels[0]:
                break
            logs = chain_norms(reading.layer, reading.x, horizons, dtype="float32")
            if not logs["resolved"].all():
                logs = chain_norms(reading.layer, reading.x, horizons)
            found.setdefault(name, []).append(growth_rates(logs["log_spectral"], horizons))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _two_horizons(steps: int) -> list[int]:
    """Between which a growth rate is taken: the last decade, as everywhere."""
    return [max(1, steps // 10), steps]


class _Found:
    """The rows of one network."""

    def __init__(self, name: str, network: Network, x: Floats, asked: Asked, fresh: dict[str, Floats]):
        self.asked, self.fresh = asked, fresh
        self.readings = dict(chains_of(network, x))
        self.keys = {layer: {"network": name, "layer": layer} for layer in self.readings}
        self.lags = asked.lags
        self.decade_steps = _two_horizons(asked.steps)
        self.horizons = sorted({*self.lags, *self.decade_steps})
        self.decade = [self.horizons.index(at) for at in self.decade_steps]
        self.from_start = {layer: chain_norms(one.layer, one.x, self.horizons) for layer, one in self.readings.items()}
        for layer, norms in self.from_start.items():
            norms[RMS] = norms[RMS] + self._of_fewer(layer, network)
        self.by_lag = {layer: self._by_lag(layer) for layer in self.readings}

    def _of_fewer(self, layer: str, network: Network) -> float:
        """What log_rms is larger by, nats, as the state has no entries where a projection leaves h at zero."""
        cell, width = self.readings[layer].layer.cell, self.readings[layer].layer.width
        alone = 0 if network.shown is None else width - network.shown
        zero = alone * (len(network.layers) if layer == "all layers" else 1)
        return -math.log1p(-zero / (len(cell.parts) * width)) / 2

    def _by_lag(self, layer: str) -> dict[str, Floats]:
        """measure -> (R, lags), of ds_T/ds_(T-k); the last lag is the whole chain."""
        reading, steps, found = self.readings[layer], self.asked.steps, []
        states = self._states(layer)
        for lag in self.lags[:-1]:
            start = [part[steps - lag] for part in states]
            found.append(chain_norms(reading.layer, reading.x[steps - lag :], [lag], start))
        whole = {name: logs[:, -1:] for name, logs in self.from_start[layer].items()}
        return {name: np.hstack([*(one[name] for one in found), whole[name]]) for name in ("log_spectral", "h_to_h")}

    def _states(self, layer: str) -> tuple[Floats, ...]:
        if layer != "all layers":
            return self.readings[layer].states
        alone = [one for name, one in self.readings.items() if name != layer]
        return tuple(part for one in alone for part in one.states)  # in the order of the joint state

    def layer_rows(self) -> Iterator[dict[str, Any]]:
        """How fast and how long, by layer."""
        for layer, key in self.keys.items():
            one = self.readings[layer].layer
            rates = growth_rates(self.from_start[layer]["log_spectral"][:, self.decade], self.decade_steps)
            with np.errstate(invalid="ignore"):  # of chains that have died
                error = rates.std(ddof=1) / math.sqrt(len(rates)) if len(rates) > 1 else math.nan
            vanishes, explodes = lasting(self.lags, self.by_lag[layer]["log_spectral"], self.asked.thresholds)
            shape = {"cell": one.cell.name, "width": one.width, "inputs": one.dimension, "sequences": len(rates)}
            rate = {"growth_rate": _mean(rates), "growth_rate_error": float(error) if math.isfinite(error) else None}
            lasts = _spread("vanishes_at", vanishes) | _spread("explodes_at", explodes)
            norm = _spread("log_norm", self.from_start[layer]["log_spectral"][:, -1])
            yield key | shape | rate | lasts | norm | self._beside(layer, _mean(rates))

    def _beside(self, layer: str, rate: float | None) -> dict[str, Any]:
        fresh = self.fresh.get(layer)
        if fresh is None or rate is None:
            return {"fresh": 0, **dict.fromkeys(("percentile", *_spread("fresh_growth_rate", np.zeros(1))))}
        below = float((fresh < rate).mean() + (fresh == rate).mean() / 2)
        return {"fresh": len(fresh), "percentile": 100 * below, **_spread("fresh_growth_rate", fresh)}

    def lag_rows(self) -> Iterator[dict[str, Any]]:
        """By lag k, ds_T/ds_(T-k) of the joint state and its block dh_T/dh_(T-k); and by step from the first one on."""
        for layer, key in self.keys.items():
            of_lags, of_steps = self.by_lag[layer], self.from_start[layer]
            for at, lag in enumerate(self.lags):
                yield (
                    key
                    | {"lag": lag}
                    | _spread("by_lag", of_lags["log_spectral"][:, at])
                    | _spread("h_by_lag", of_lags["h_to_h"][:, at])
                    | _spread("from_first_step", of_steps["log_spectral"][:, self.horizons.index(lag)])
                )

    def statistics(self) -> Iterator[pl.DataFrame]:
        """Of each layer, from the first step on: see `rnnmc.statistics.point.point_statistics`."""
        at, limits = [self.horizons.index(lag) for lag in self.lags], self.asked.thresholds
        for layer, key in self.keys.items():
            logs = {name: self.from_start[layer][name][:, at] for name in MEASURES}
            count, size = len(logs[MEASURES[0]]), len(at)
            norm = logs[MEASURES[0]].flatten()
            samples = pl.DataFrame(
                {"point": [layer] * (count * size), "block": 0, "replicate": np.repeat(np.arange(count), size)}
                | {"horizon": np.tile(self.lags, count)}
                | {name: log.flatten() for name, log in logs.items()}
                | {"status": np.where(np.isneginf(norm), "dead", np.where(np.isposinf(norm), "overflow", "ok"))}
            )
            direction = "backward" if self.readings[layer].layer.reverse else "forward"
            said = [pl.lit(value).alias(name) for name, value in {**key, "direction": direction}.items()]
            yield point_statistics(samples, limits.vanish, limits.explode).drop("point").select(*said, pl.all())

    def path_rows(self) -> Iterator[dict[str, Any]]:
        """By path of a cell with a main term, from the first step to the last."""
        for layer, key in self.keys.items():
            reading = self.readings[layer]
            if reading.layer.cell.main_term is None:
                continue
            point: Any = _Point(reading.layer.cell, reading.layer.width, tuple(self.decade_steps))
            draws = GivenDraws(reading.layer, reading.x)
            with one_thread():
                watch = Paths().watch(point, draws.layout, draws.state(), ())
                for _ in chain(draws, point.horizons, (watch,)):
                    pass
            index, found = Paths().index(point), watch.values()[MEASURES[0]]
            for path in dict.fromkeys(index["path"]):
                logs = found[:, index["path"] == path]
                rate = _mean(growth_rates(logs, self.decade_steps))
                yield key | {"path": str(path), "growth_rate": rate, **_spread("log_norm", logs[:, -1])}


class _Point(NamedTuple):
    """What `Paths` asks of a design point."""

    cell_object: Cell
    width: int
    horizons: tuple[int, ...]


def _mean(values: Floats) -> float | None:
    """None where it is not a number."""
    with np.errstate(invalid="ignore"):
        mean = float(values.mean())
    return None if math.isnan(mean) else mean


def _spread(name: str, values: Floats) -> dict[str, float | None]:
    """Median and quantiles over sequences, of values that may be infinite; None where one is not a number."""
    if np.isnan(values).any():
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    at = (np.array([0.5, LOW, HIGH]) * (len(values) - 1)).round().astype(int)
    return dict(zip((name, f"{name}_low", f"{name}_high"), np.sort(values)[at].tolist(), strict=True))
