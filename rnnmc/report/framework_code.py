"""An initialisation as lines of code that set it in a layer of a framework: its order of gates, signs and bias vectors.

Only what differs from the framework's own default is set. The update gate of PyTorch, Keras, Flax and Equinox is one
minus that of rnnmc (`h' = (1-z) o h + z o y` here), so its weights change sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.common.errors import UsageError
from rnnmc.initialisers import presets
from rnnmc.initialisers.law import WeightLaw
from rnnmc.initialisers.truncated_gaussian import DEVIATION_WITHIN_TWO
from rnnmc.report.framework_layers import FrameworkLayer, Slot, layer_of
from rnnmc.study.initialisation import ROLES, Initialisation
from rnnmc.study.point import DesignPoint

ENTRY_BY_ENTRY = ("gaussian", "uniform", "truncated_gaussian", "constant")  # laws without anything between entries


def code(point: DesignPoint, framework: str) -> str:
    """Lines of Python that make the layer and set what the point's `init` says where its default is another.

    framework: or the name of a layer. Raises UsageError as `layer_of` does, and for a law that has no line.
    """
    layer, cell, n = layer_of(framework, point.cell), point.cell_object, point.width
    m = max(point.drive.dimension, 1)
    wanted, default = point.init.laws(cell, n, point.drive.dimension), _default(layer, cell, n, m)
    writer = _Writer(layer.in_torch, cell, n, m)
    body = [line for role in ROLES for line in _role_lines(writer, layer, role, wanted[role], default.get(role, {}))]
    imports = [*layer.imports, *dict.fromkeys(writer.imports)]
    sizes = f"n, m = {n}, {m}"
    indent = "    " if layer.context else ""
    context = [layer.context] if layer.context and body else []
    rng = ["rng = np.random.default_rng()"] if writer.draws else []
    if not body:
        return "\n".join([*layer.imports, sizes, *layer.make[: layer.alone]])
    return "\n".join([*imports, sizes, *rng, *layer.make, *context, *(indent + line for line in body), *layer.put])


def _default(layer: FrameworkLayer, cell: Cell, n: int, m: int) -> dict[str, dict[str, WeightLaw]]:
    """role -> gate -> law, of the layer as it is made; nothing where that is no preset."""
    if not presets()[layer.default].serves(cell):
        return {}
    return Initialisation.read(layer.default).laws(cell, n, m)


def _role_lines(
    writer: _Writer,
    layer: FrameworkLayer,
    role: str,
    wanted: Mapping[str, WeightLaw],
    default: Mapping[str, WeightLaw],
) -> Iterator[str]:
    """What has to be set of one role, gate by gate, or at once where all gates are independent and of one law."""
    laws = list(dict.fromkeys(wanted.values()))
    if wanted == default:
        return
    one = laws[0]
    together = one.stacked or (one.name in ENTRY_BY_ENTRY and (role != "bias" or one.is_zero))
    if len(laws) == 1 and together and role in layer.whole:
        whole = layer.whole[role]
        yield f"{whole.target} = {writer.law(one, whole, role)}"
        if whole.zero:
            yield f"{whole.zero} = 0"
        return
    stacked = len(laws) == 1 and one.stacked and len(wanted) > 1
    if stacked:  # one matrix, of which each gate has its part in an array of its own
        yield f"q = {writer.law(one, Slot('', f'n, {len(wanted)} * n'), role)}"
    remembering = [gate for gate, law in wanted.items() if law.name == "chrono"]
    if remembering:
        yield writer.chrono(wanted[remembering[0]])
    for i, (gate, law) in enumerate(wanted.items()):
        if default.get(gate) == law:
            continue
        slot = layer.slots.get((role, gate))
        if slot is None and law.is_zero:
            continue
        if slot is None:
            raise UsageError(
                f"init.{role}.{gate}: {law} has no line of code, as {layer.name} has no such numbers; give 0"
            )
        said = f"q[:, {i} * n:{i + 1} * n]" if stacked else writer.law(law, slot, role, gate)
        yield f"{slot.target} = {said}{_told(slot, gate)}"
        if slot.zero:
            yield f"{slot.zero} = 0  # added to it"


def _told(slot: Slot, gate: str) -> str:
    return f"  # {gate}" + (", which is one minus that of rnnmc" if slot.sign < 0 else "")


def _exact(value: float) -> str:
    """In the fewest digits that mean this float64 and no other."""
    return repr(float(value)).removesuffix(".0")


class _Writer:
    """Laws as expressions, and what they need."""

    def __init__(self, in_torch: bool, cell: Cell, n: int, m: int):
        self.in_torch, self.memory, self.n, self.m = in_torch, cell.memory, n, m
        self.imports: list[str] = []
        self.draws = False

    def chrono(self, law: WeightLaw) -> str:
        """The line that draws the time scales, one for each unit."""
        most = _exact(law.model_dump()["t_max"] - 1)
        if self.in_torch:
            return f"u = torch.empty(n).uniform_(1, {most}).log()"
        self.draws = True
        return f"u = np.log(rng.uniform(1, {most}, n))"

    def law(self, law: WeightLaw, slot: Slot, role: str, gate: str = "") -> str:
        """A matrix or vector of this law, as the slot holds it. Raises UsageError where there is no line for it."""
        if law.clip is not None or law.spectral_radius is not None:
            raise UsageError(f"init.{role}: {law} has no line of code; give a law without clip or spectral_radius")
        fan_in = {"recurrent": self.n, "input": self.m, "bias": 1}[role]
        keeps = self.memory.get(gate, 1) if law.name == "chrono" else 1
        said = self._said(law, slot, fan_in, slot.sign * keeps)
        return f"{said} {'-' if slot.offset < 0 else '+'} {_exact(abs(slot.offset))}" if slot.offset else said

    def _said(self, law: WeightLaw, slot: Slot, fan_in: int, sign: int) -> str:
        values: dict[str, Any] = law.model_dump()
        if law.name == "constant":
            return _exact(sign * values["value"] + 0.0)
        if law.name == "chrono":
            return "u" if sign > 0 else "-u"
        if law.name == "identity":
            return f"{_exact(sign * values['factor'] + 0.0)} * {'torch' if self.in_torch else 'np'}.eye(n)"
        if law.name == "orthogonal":
            return self._orthogonal(values["gain"], slot.shape)
        if law.name in ENTRY_BY_ENTRY:
            return self._entries(law, values, slot.shape, fan_in)
        raise UsageError(f"init: {law} has no line of code; it is in rnnmc.initialisers.{law.name}")

    def _orthogonal(self, gain: float, shape: str) -> str:
        if self.in_torch:
            return f"torch.nn.init.orthogonal_(torch.empty({shape}), {_exact(gain)})"
        self.draws = True
        self.imports.append("from scipy.stats import ortho_group")
        if shape == "n, n":
            return f"{_exact(gain)} * ortho_group.rvs(n, random_state=rng)"
        longer = shape.removeprefix("n, ").removesuffix(", n")  # n rows, or columns, of a Haar matrix for all gates
        part = ":n" if shape.startswith("n,") else ":, :n"
        return f"{_exact(gain)} * ortho_group.rvs({longer}, random_state=rng)[{part}]"

    def _entries(self, law: WeightLaw, values: dict[str, Any], shape: str, fan_in: int) -> str:
        moments = law.moments(fan_in, self.n)
        deviation = (moments or (0.0, 0.0))[1] ** 0.5
        size = f"({shape})" if "," in shape else shape
        self.draws = self.draws or not self.in_torch
        if law.name == "gaussian":
            return f"{_exact(deviation)} * " + (
                f"torch.randn({shape})" if self.in_torch else f"rng.normal(size={size})"
            )
        if law.name == "truncated_gaussian":
            scale = _exact(deviation / DEVIATION_WITHIN_TWO)
            if self.in_torch:
                edge = _exact(2 * deviation / DEVIATION_WITHIN_TWO)
                return f"torch.nn.init.trunc_normal_(torch.empty({shape}), std={scale}, a=-{edge}, b={edge})"
            self.imports.append("from scipy.stats import truncnorm")
            return f"truncnorm.rvs(-2, 2, scale={scale}, size={size}, random_state=rng)"
        limit, terms = (3 / values["terms"]) ** 0.5 * deviation, values["terms"]
        if self.in_torch:
            return " + ".join([f"torch.empty({shape}).uniform_(-{_exact(limit)}, {_exact(limit)})"] * terms)
        return " + ".join([f"rng.uniform(-{_exact(limit)}, {_exact(limit)}, {size})"] * terms)
