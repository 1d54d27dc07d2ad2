"""An initialisation as a study file writes it: a preset, or a law for each role and gate."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnmc.cells import cell
from rnnmc.cells.cell import Cell
from rnnmc.cells.stacked import Stacked
from rnnmc.common.refusals import choose, refuse
from rnnmc.initialisers import full_name, laws, layers, presets
from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.law import MODIFIERS, Preset, WeightLaw

ROLES = ("recurrent", "input", "bias")
VECTOR_ROLE = "vector"  # the role of weights that most cells have none of, and no preset speaks of
ALL_ROLES = (*ROLES, VECTOR_ROLE)
EVERY = "every"  # the key under which the law of all gates that are not named stands

LAYERS_LISTED = "`rnnmc initialisers` lists them all"

LawsByGate = Mapping[str, WeightLaw]  # gate or EVERY -> law
Assignment = tuple[tuple[str, ...], WeightLaw]  # matrices drawn together, and their law

UNSAID: Mapping[str, LawsByGate] = {"input": {EVERY: Gaussian(gain=1.0)}, "bias": {EVERY: Constant(value=0.0)}}
UNSAID_VECTOR: LawsByGate = {EVERY: Gaussian(gain=1.0)}  # weighs as much as a matrix of gain 1: fan_in is 1


@dataclass(frozen=True)
class Initialisation:
    """A preset's name, or None, and what is said beside or instead of it: role -> gate -> law.

    Without a preset the roles include the laws of UNSAID where nothing else is said; vector weights of which nothing
    is said have UNSAID_VECTOR, with a preset or without.
    """

    preset: str | None
    roles: Mapping[str, LawsByGate]

    @classmethod
    def read(cls, value: Any) -> Initialisation:
        """Parse what stands under `init:`: a preset's name, or {preset:, recurrent:, input:, bias:}."""
        if isinstance(value, Initialisation):
            return value
        if isinstance(value, str):
            value = {"preset": value}
        if not isinstance(value, dict) or not value:
            raise refuse("", value, "is not an initialisation; give a preset's name or a law for each role")
        preset = value.get("preset")
        preset = full_name(preset) if isinstance(preset, str) else preset
        if preset is not None and (not isinstance(preset, str) or preset not in presets()):
            raise refuse("preset" if len(value) > 1 else "", preset, f"is not a preset; {_presets_or_laws(preset)}")
        for key in value:
            if key not in ("preset", *ALL_ROLES):
                raise refuse(str(key), value[key], f"is under an unknown key; {choose(str(key), ALL_ROLES)}")
        roles = {role: read_role(value[role], role) for role in ALL_ROLES if value.get(role, {}) != {}}
        if preset is None:
            filled = {role: dict(UNSAID.get(role, {})) | dict(roles.get(role, {})) for role in ALL_ROLES}
            roles = {role: dict(sorted(law_of.items())) for role, law_of in filled.items() if law_of}
        return cls(preset, roles)

    def written(self) -> Any:
        """What a study file would say, the laws of UNSAID too: the inverse of `read`."""
        roles = {role: _written_role(laws_) for role, laws_ in self.roles.items()}
        if self.preset is None:
            return roles
        return {"preset": self.preset} | roles if roles else self.preset

    def laws(self, cell: Cell, width: int, inputs: int) -> dict[str, dict[str, WeightLaw]]:
        """role -> gate -> law, with the preset written out and every gate filled in.

        Raises a refusal where a gate or role does not exist in the cell or has no law. In a stack of layers each layer
        has the laws of one, with n inputs above the first; what is said of a gate is said of it in every layer.
        """
        if isinstance(cell, Stacked):
            found: dict[str, dict[str, WeightLaw]] = {}
            for layer in range(1, cell.layers + 1):
                for role, law_of in self.laws(cell.base, width, inputs if layer == 1 else width).items():
                    of_role = found.setdefault(cell.role_in_layer(role, layer), {})
                    of_role |= {cell.name_in_layer(role, gate, layer): law for gate, law in law_of.items()}
            return found
        base: dict[str, LawsByGate] = {}
        if self.preset is not None:
            preset = presets()[self.preset]
            if not preset.serves(cell):
                raise refuse("", self.preset, f"has no law for {cell.name}; {_served(cell, preset)}")
            said = preset.roles(cell, width, max(inputs, 1))
            base = {role: read_role(laws_, role) for role, laws_ in said.items()}
        base, filled = {VECTOR_ROLE: UNSAID_VECTOR} | base, {}
        for role in ALL_ROLES if cell.vectors or VECTOR_ROLE in self.roles else ROLES:
            names = names_of(cell, role)
            said = self.roles.get(role, {})
            if said and not names:
                laws_ = _written_role(said)
                raise refuse(role, laws_, f"is for {role} weights, and {cell.name} has none; leave {role} out")
            law_of = dict(said) if EVERY in said else dict(base.get(role, {})) | dict(said)
            for gate in law_of:
                if gate not in (EVERY, *names):
                    raise refuse(f"{role}.{gate}", gate, f"is not a {role} gate of {cell.name}; {choose(gate, names)}")
            missing = [gate for gate in names if gate not in law_of and EVERY not in law_of]
            if missing:
                raise refuse(
                    role, "nothing", f"is said for {missing[0]} of {cell.name}; give a law, such as gaussian: 1"
                )
            filled[role] = {gate: law_of.get(gate, law_of.get(EVERY)) for gate in names}
        vectors = filled["recurrent"].values() if cell.diagonal else ()
        for law in vectors:
            if law.spectral_radius is not None:
                raise refuse(
                    "recurrent.spectral_radius",
                    law.spectral_radius,
                    f"scales square matrices, and {cell.name} has vectors; remove it",
                )
        return filled

    def written_laws(self, cell: Cell, width: int, inputs: int) -> dict[str, dict[str, Any]]:
        """role -> gate -> law and every parameter, as plain values: all that the draws of `assignments` depend on.

        Only what is drawn: no input laws where `inputs` is 0.
        """
        return {
            role: {gate: {"law": law.name} | law.model_dump() for gate, law in law_of.items()}
            for role, law_of in self.laws(cell, width, inputs).items()
            if role != "input" or inputs
        }

    def assignments(self, cell: Cell, width: int, inputs: int) -> dict[str, list[Assignment]]:
        """role -> which matrices are drawn together, and by which law, in the order in which they are drawn.

        It depends on the filled-in `laws` alone, not on how they were said. Layers draw nothing together.
        """
        result: dict[str, list[Assignment]] = {}
        if isinstance(cell, Stacked):
            for layer in range(1, cell.layers + 1):
                for role, assigned in self.assignments(cell.base, width, inputs if layer == 1 else width).items():
                    named = [
                        (tuple(cell.name_in_layer(role, gate, layer) for gate in together), law)
                        for together, law in assigned
                    ]
                    result.setdefault(cell.role_in_layer(role, layer), []).extend(named)
            return result
        for role, law_of in self.laws(cell, width, inputs).items():
            result[role], done = [], set()
            for law in dict.fromkeys(law_of.values()):
                gates = tuple(gate for gate in law_of if law_of[gate] == law)
                try:
                    groups = law.groups(gates, cell)
                except ValueError as error:
                    raise refuse(role, str(law), str(error)) from None
                result[role] += [(group, law) for group in groups]
                done |= {gate for group in groups for gate in group}
            rest = [gate for gate in law_of if gate not in done]  # chrono leaves the other gates alone
            result[role] += [((gate,), Constant(value=0.0)) for gate in rest]
        return result

    def __str__(self) -> str:
        words = [self.preset] if self.preset else []
        for role, law_of in self.roles.items():
            unsaid = {} if self.preset else UNSAID.get(role, {})
            told = {gate: law for gate, law in law_of.items() if unsaid.get(gate) != law}
            said = ", ".join(f"{law}" if gate == EVERY else f"{gate} {law}" for gate, law in told.items())
            if told:
                words.append(said if role == "recurrent" else f"{role} {said}")
        return ", ".join(words).replace("constant ", "")


def unsaid(name: Any) -> Any:
    """The initialisation of a cell of which nothing is said: `pytorch`, or where that has none, as the weights are
    vectors, `published`, and N(0, 1) for a cell whose paper says nothing. A layer is its own; of no cell, `pytorch`.
    """
    if isinstance(name, str) and name in layers():
        return name
    try:
        found = cell(name)
    except (ValueError, TypeError, AttributeError):  # refused where the cell is read
        return "pytorch"
    if presets()["pytorch"].serves(found):
        return "pytorch"
    return "published" if presets()["published"].serves(found) else {"recurrent": {"gaussian": 1.0}}


def names_of(cell: Cell, role: str) -> tuple[str, ...]:
    """The names that weights of this role have in this cell."""
    if role in ("recurrent", VECTOR_ROLE):
        return cell.recurrent if role == "recurrent" else cell.vectors
    return cell.gates if role == "input" else (*cell.gates, *cell.inner_biases)


def read_role(value: Any, path: str) -> LawsByGate:
    """A law for every gate, laws by gate, or both: `{gaussian: 1, clip: 2, forget: {orthogonal: 1}}`."""
    if not isinstance(value, dict):
        return {EVERY: _read_constant(value, path)}
    whole = {key: v for key, v in value.items() if key in laws() or key in MODIFIERS}
    role = {EVERY: _read_law(whole, path)} if whole else {}
    for gate, said in value.items():
        if gate not in whole:
            inner = f"{path}.{gate}"
            role[str(gate)] = _read_law(said, inner) if isinstance(said, dict) else _read_constant(said, inner)
    return dict(sorted(role.items()))


def _read_constant(value: Any, path: str) -> WeightLaw:
    if isinstance(value, str):
        if value not in laws():
            raise refuse(path, value, f"is neither a law nor a number; {choose(value, laws())}")
        law = laws()[value]
        raise refuse(path, value, f"is a law without its {law.main}; write for example {{{value}: {law.example}}}")
    return _read_law({"constant": value}, path)


def _read_law(value: dict[str, Any], path: str) -> WeightLaw:
    names = [key for key in value if key in laws()]
    unknown = [key for key in value if key not in laws() and key not in MODIFIERS]
    if unknown:
        raise refuse(
            f"{path}.{unknown[0]}", value[unknown[0]], f"is under an unknown law; {choose(str(unknown[0]), laws())}"
        )
    if len(names) != 1:
        raise refuse(path, value, f"does not name one law; give one of {', '.join(laws())}")
    modifiers = {key: value[key] for key in value if key in MODIFIERS}
    if path.startswith("recurrent"):
        _refuse_no_network(laws()[names[0]], value[names[0]], f"{path}.{names[0]}")
    law = laws()[names[0]].read(value[names[0]], f"{path}.{names[0]}", **modifiers)
    if not isinstance(law, WeightLaw):
        raise TypeError(f"{names[0]} is not a law")
    if law.spectral_radius is not None and not path.startswith("recurrent"):
        raise refuse(f"{path}.spectral_radius", law.spectral_radius, "scales square matrices; give it under recurrent")
    return law


def _refuse_no_network(law: type[WeightLaw], said: Any, path: str) -> None:
    """Refuse a scale of recurrent weights that leaves none of them."""
    for name, value in (said if isinstance(said, dict) else {law.main: said}).items():
        if name in law.scales and isinstance(value, int | float) and value is not False and value <= 0:
            place = path if name == law.main else f"{path}.{name}"
            remedy = "; weights that are to be 0 are constant: 0" if value == 0 else ""
            raise refuse(place, value, f"is not a possible {name}; give a number above 0{remedy}")


def _written_role(role: LawsByGate) -> dict[str, Any]:
    return (
        {} | (role[EVERY].written() if EVERY in role else {}) | {g: v.written() for g, v in role.items() if g != EVERY}
    )


def of_layer(values: Any) -> Any:
    """`values` of a design point, with what the layer that is named under `cell` or `init` says of the other."""
    if not isinstance(values, dict):
        return values
    named, init = values.get("cell"), values.get("init")
    named = full_name(named) if isinstance(named, str) else named
    if isinstance(named, str) and named in layers():
        return values | {"cell": layers()[named].cells[0], "init": named if init is None else init}
    drawn = init.preset if isinstance(init, Initialisation) else init.get("preset") if isinstance(init, dict) else init
    if named is None and isinstance(drawn, str):
        drawn = full_name(drawn)
        if drawn not in presets():
            raise refuse("init", drawn, f"is not a preset; {_presets_or_laws(drawn)}")
        return values | {"cell": layers()[drawn].cells[0]} if drawn in layers() else values
    return values


def near_layers(name: str) -> list[str]:
    """The layers that somebody who writes `name` may mean: those that end in its last word, or are spelt like it."""
    if whole := [known for known in layers() if known.lower().endswith("." + name.lower())]:
        return whole[:3]
    same = [known for known in layers() if known.split(".")[-1].lower() == name.split(".")[-1].lower()]
    return difflib.get_close_matches(name, same, 3, 0) or difflib.get_close_matches(name, layers(), 3, 0.7)


def _served(cell: Cell, preset: Preset) -> str:
    """What to give in place of a preset that has no law for this cell."""
    if preset.cells:
        return f"it is {' or '.join(preset.cells)}: give cell: {preset.cells[0]}, or leave cell out"
    if presets()["published"].serves(cell):
        return "give init: published"
    return "give a law of its weights, such as init: {recurrent: {gaussian: 1.0}}"


def _presets_or_laws(name: Any) -> str:
    if isinstance(name, str) and name in laws():
        return f"{name} is a law: write init: {{recurrent: {{{name}: 1.0}}}}"
    near = near_layers(name) if isinstance(name, str) else []
    if near:
        return f"did you mean {' or '.join(near)}? {LAYERS_LISTED}"
    known = [preset for preset in presets() if preset not in layers()]
    return f"{choose(name if isinstance(name, str) else '', known)}, and layers such as torch.nn.LSTM; {LAYERS_LISTED}"
