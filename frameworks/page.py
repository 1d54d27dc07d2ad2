"""docs/frameworks.md from frameworks/records/*.json, frameworks/beside/*.json and frameworks/traps.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnmc.initialisers import layers

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/frameworks.md"
HEAD = """# What does my layer do?

Find the layer that you use; its name is what you write: `rnnmc measure torch.nn.LSTM --width 64`, or in a study
file `init: torch.nn.LSTM`, with no `cell`. The numbers are measured on the real layers of installed versions,
drawn as a user draws them (n = {width}, white input of dimension m, from a state of zero, joint state of h and c)
and differentiated by their own framework. `make frameworks` measures them again and writes this page; every
number is in `frameworks/records/`.

- **rate**: (l_100 - l_10) / 90, where l is the logarithm of the spectral norm of the Jacobian product, nats a
  step; in brackets its standard error, in thousandths. *real* is the layer ({draws} draws), *rnnmc* the preset
  of its name ({ours} draws).
- **apart**: the difference of the two in combined standard errors, at m = 1 and at m = {width}. By chance alone
  one in twenty lies beyond 2. All layers read the same sequences, so that their differences are somewhat alike.
- **half gone**: the step at which the median norm passes 1e-3, by rnnmc; beyond 100 carried on along the last
  slope.
"""
GAIN = """## What each draws, as measured

At m = {width}. *gain*: the root mean square singular value of one gate's n x n block. *orthogonal*: which of
its recurrent matrices are. *input*: the deviation of input weights times sqrt m. *bias*: mean and deviation of
all that is added to a gate, that of the forget gate beside it. *step*: the largest difference, over the entries
of the next state and of its Jacobian, between the layer and our cell with the very weights of the layer: it
would show an order of gates, a sign or a bias that is elsewhere. *same law*: the least of three probabilities
(recurrent weights, input weights, biases) that layer and preset draw alike, by Kolmogorov and Smirnov's test. A
minus before a gate: it is open where ours is closed.
"""
WRAPS = """## What wraps what

Libraries that put a layer of `torch.nn` into a model of theirs, n = {width} where it can be set: what is really inside.
*p*: the probability (Kolmogorov and Smirnov) that its weights and biases are U(-1/sqrt n, 1/sqrt n), as PyTorch leaves
them: then the row of `torch.nn` above is the answer. *rate*: of what differs, at m = 1, {draws} draws, by PyTorch's
automatic differentiation in float64. PyTorch Lightning has no layer of its own and changes none. Measured with torch
{torch} on Python {python}, {date}. tsai draws its layers anew, and stands in the table above.
"""
RUNNERS = """## Runners

A layer of `torch.nn` (n = {width}, m = 1, as drawn) exported by `torch.onnx.export` as it is by default, and run step
by step for {steps} steps. *nodes*: of the graph of {short} steps, and how many of them are recurrent operators.
*apart*: the largest difference of a state at the end from PyTorch's in float64, of {draws} draws. *rate*: of the
runner's own steps, differentiated by central differences, beside that of the layer, and the largest difference of the
two. {versions}, {date}.
"""
READ = """## Read, not run

Julia and CRAN could not be reached from where this was measured, so these laws were read in the source (Flux.jl
0.16.11, Lux.jl 1.31.4, R's rnn 1.9.1), and the rates are those of rnnmc, {draws} draws. Lux's `RNNCell` and `LSTMCell`
draw as PyTorch does, two bias vectors and all; its `GRUCell` does not, though its documentation says the same of the
three. Cells of RecurrentLayers.jl 0.3.4 draw as Flux's do (Glorot uniform, on the stack); its `AntisymmetricRNNCell`
has a step of 1 and no diffusion. R's rnn draws the weights and gate biases of its LSTM and GRU from U(-1, 1) whatever
the width.
"""
RATES = (
    "layer = `init:`", "cell", "what it draws", "rate at m = 1, real", "rnnmc", "at m = {width}, real", "rnnmc",
    "apart", "half gone, m = 1", "m = {width}",
)  # fmt: skip
DRAWS = ("layer", "gain", "orthogonal", "input", "bias", "step", "same law", "its order of gates", "")
VERSIONS = ("framework", "version", "Python", "measured", "arithmetic")


def table(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def rate(pair: list[float]) -> str:
    return f"{number(pair[0])}({round(pair[1] * 1000)})"


def steps(value: float) -> str:
    return f"{value:.0f}"


def option(one: dict[str, Any]) -> str:
    return f"`{one['name']}`" + (f", `cell: {one['cell']}`" if one["cell"] else "")


def cell_of(one: dict[str, Any]) -> str:
    return one["cell"] or layers()[one["name"]].cells[0]


def row(one: dict[str, Any], width: str) -> list[str]:
    near, far = one["at"]["1"], one["at"][width]
    return [
        option(one), cell_of(one), layers()[one["name"]].formula,
        rate(near["real_rate"]), rate(near["our_rate"]), rate(far["real_rate"]), rate(far["our_rate"]),
        f"{near['apart']:+.1f}, {far['apart']:+.1f}", steps(near["our_half_vanished"]), steps(far["our_half_vanished"]),
    ]  # fmt: skip


def orthogonal(found: dict[str, Any]) -> str:
    if found["gate_from_orthogonal"] < 1e-3:
        return "each gate"
    return "stack" if found["stack_from_orthogonal"] < 1e-3 else "no"


def drawn(one: dict[str, Any], width: str) -> list[str]:
    far = one["at"][width]
    real, gains = far["real"], sorted(far["real"]["gain"].values())
    mean, deviation = real["bias_mean"], real["bias_deviation"]
    others = [name for name in mean if name != "forget"]
    bias = f"{number(mean[others[0]], 2)} +- {number(max(deviation[name] for name in others), 2)}"
    if "forget" in mean:
        bias += f"; forget {number(mean['forget'], 2)}"
    return [
        option(one), number(gains[len(gains) // 2]), orthogonal(real), number(real["input_gain"]), bias,
        f"{max(at['step_error'] for at in one['at'].values()):.0e}",
        f"{min(min(at['same_law'].values()) for at in one['at'].values()):.1g}",
        ", ".join(one["gates"]), one["note"] or "",
    ]  # fmt: skip


def between(every: list[dict[str, Any]], name: str) -> str:
    """The least and the most of a number that stands in every row."""
    found = sorted({at[name] for one in every for at in one["at"].values()})
    return " to ".join(str(count) for count in dict.fromkeys((found[0], found[-1])))


def beside(name: str) -> dict[str, Any]:
    return json.loads((HERE / f"beside/{name}.json").read_text(encoding="utf-8"))


def wrapped(width: str, draws: str) -> str:
    said, rows = beside("wrappers"), []
    for one in said["wraps"]:
        inside = ", ".join(f"`{kind}`" for kind in one["inside"])
        p = "-" if one["as_torch"] is None else f"{one['as_torch']:.1g}"
        grows = rate(one["rate"]) if one["rate"] else "-"
        rows.append([f"{one['library']} {one['version']}", f"`{one['said']}`", inside, p, grows, one["told"]])
    text = WRAPS.format(width=width, draws=draws, **{name: said[name] for name in ("torch", "python", "date")})
    return text + table(("library", "what you write", "inside", "p", "rate", "its defaults, and what to know"), rows)


def run(width: str) -> str:
    said, rows = beside("runners"), []
    for one in said["rows"]:
        nodes = f"{one['nodes']}, {one['recurrent_nodes']} recurrent"
        rates = [number(one["rate"], 4), number(one["torch_rate"], 4), f"{one['rate_apart']:.0e}"]
        rows.append([f"`{one['layer']}`", one["runner"], nodes, f"{one['state_apart']:.0e}", *rates])
    versions = ", ".join(f"{name} {version}" for name, version in said["versions"].items())
    of = {name: said[name] for name in ("draws", "steps", "short", "date")}
    columns = ("layer", "runner", "nodes", "apart", "rate, runner", "layer", "largest difference")
    return RUNNERS.format(width=width, versions=versions, **of) + table(columns, rows)


def read_of_sources(width: str) -> str:
    said = beside("read")
    rows = []
    for name, rates in said["rates"].items():
        known = layers().get(name)
        drawn = known.formula if known else "all U(-1, 1) whatever the width"
        rows.append([f"`{name}`" if known else name, drawn, rate(rates["1"]), rate(rates[width])])
    columns = ("layer", "what it draws", "rate at m = 1", f"at m = {width}")
    return READ.format(draws=said["draws"]) + table(columns, rows)


def page() -> str:
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((HERE / "records").glob("*.json"))]
    every = [one for record in records for one in record["layers"]]
    width = max(every[0]["at"], key=int)
    text = HEAD.format(width=width, draws=between(every, "draws"), ours=between(every, "our_draws"))
    text += table(tuple(name.format(width=width) for name in RATES), [row(one, width) for one in every])
    text += "\n" + (HERE / "traps.md").read_text(encoding="utf-8")
    draws = str(max(at["draws"] for one in every for at in one["at"].values()))
    text += "".join("\n" + part for part in (wrapped(width, draws), run(width), read_of_sources(width)))
    text += "\n" + GAIN.format(width=width)
    text += table(DRAWS, [drawn(one, width) for one in every])
    versions = [[record[name] for name in ("framework", "version", "python", "date")] for record in records]
    for said, record in zip(versions, records, strict=True):
        said.append(" and ".join(sorted({one["dtype"] for one in record["layers"]})))
    return text + table(VERSIONS, versions)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(HERE.parent)}")
