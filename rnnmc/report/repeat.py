"""The command that measures one design point again: what a reader of the page can paste into a shell."""

from __future__ import annotations

import json
import shlex
from typing import Any

from rnnmc.common.words import in_full

OPTION_DEFAULTS = {
    "layers": 1,
    "weights": "tied",
    "state_std": 0.0,
    "dtype": "float32",
    "seed": 7888,
    "drive": {"white": 1},
}
ASKED_FOR = {"cell", "width", "init", "horizons"}


def command(written: str, replicates: int, vanish: float, explode: float) -> str:
    """`rnnmc measure ...` with the same key, hence with the same numbers.

    written: `DesignPoint.written()` as JSON, a column of points.parquet. Empty where the command line cannot say the
    point: several replicates of one draw of the weights, or a point of an earlier release.
    """
    return _command(written, vanish, explode, "--replicates", str(replicates))


def rare_command(written: str, event: str, vanish: float, explode: float) -> str:
    """`rnnmc measure ... --rare` for the probability of an event, vanish, stable or explode; empty as `command` is."""
    return _command(written, vanish, explode, "--rare", event)


def _command(written: str, vanish: float, explode: float, *asked: str) -> str:
    said: dict[str, Any] = json.loads(written)
    if not said.keys() >= ASKED_FOR or any(number != 1 for number in (said.get("nested") or {}).values()):
        return ""
    words = ["rnnmc", "measure", str(said["cell"]), "--width", str(said["width"]), "--init", _word(said["init"])]
    for name, usual in OPTION_DEFAULTS.items():
        value = said.get(name, usual)
        if value != usual:
            words += [f"--{name.replace('_', '-')}", _word(value)]
    words += ["--residual"] if said.get("residual") else []
    words += ["--horizons", ",".join(map(str, said["horizons"])), *asked]
    words += ["--vanish", in_full(vanish)] if vanish != 1e-3 else []
    words += ["--explode", in_full(explode)] if explode != 1e3 else []
    return shlex.join(words)


def _word(value: Any) -> str:
    """A name or number as it is, a mapping as YAML in one line (JSON is that)."""
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
