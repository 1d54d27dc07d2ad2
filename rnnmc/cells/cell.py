"""What a recurrent cell is: its gates, the parts of its state, its update and the tangent of that update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:  # torch takes a second to import, and a plan needs only the names
    from torch import Tensor

    from rnnmc.numerics.weights import Weights

    State = tuple[Tensor, ...]
    Push = Callable[[State], State]


class Term(NamedTuple):
    """One term of a Jacobian: `matrix` with its out axis scaled by the vector `scale`."""

    matrix: Tensor
    scale: Tensor


class Terms(NamedTuple):
    """What becomes of the memory in one step, term by term: of h, or of c in a cell with the state (h, c).

    main: vector that multiplies the memory. others: makes name -> Term of each of `Cell.other_terms`, when asked, as a
    matrix may cost a product. diag(main) plus the others is dh'/dh; with (h, c) diag(main) leads from dc to dc', and
    the others from dh to dc'. exposed: vector dh'/dc' with the output gate held fixed, or None where there is no c.
    """

    main: Tensor
    others: Callable[[], dict[str, Term]]
    exposed: Tensor | None = None


def scaled_terms(matrices: Mapping[str, Tensor], scales: Mapping[str, Tensor]) -> Callable[[], dict[str, Term]]:
    """`Terms.others` where each term is the matrix of its name, scaled."""
    return lambda: {name: Term(matrices[name], scale) for name, scale in scales.items()}


class Tangent(NamedTuple):
    """A push that knows more: of the memory, in a cell with a main term, and of the drive.

    terms: of the memory's Jacobian. driven: takes gate -> k rows of changes of its pre-activation to k rows of what
    they change in each part of the next state, in a cell that `knows_drive`.
    """

    push: Push
    terms: Terms | None = None
    driven: Callable[[Mapping[str, Tensor]], State] | None = None

    def __call__(self, directions: State) -> State:
        return self.push(directions)


class AtZero(NamedTuple):
    """The cell without input at a state of zero, where it is smooth; with `Cell.slopes`, what laws of that state read.

    sources: biases, of gates and inner ones, without which the state stays zero, whatever the others are.
    matrix: recurrent matrix U of the Jacobian a I + b U, of c to c in a cell with the state (h, c). gates: whose
    openings sg(bias) set a and b. Where they differ between units, it has the eigenvalues of diag(a) + diag(b) U.
    """

    sources: tuple[str, ...]
    matrix: str
    gates: tuple[str, ...] = ()


class Gating(NamedTuple):
    """How gates act on the memory, h or c; what laws of a memory read.

    keep: gate of `Cell.memory` by which alone the memory decays without recurrent weights: dm' = sg(+-a) o dm.
    admit, show: gates that let the candidate in and through which a unit then acts on itself: at the zero state, with
    U = phi I, dm' = (sg(+-a) + admit o show phi) o dm. With (h, c), which needs both, h' = show o c'.
    squashed: h' = show o tanh(c') instead, and c' = sg(+-a) o c + admit o tanh(.) of the gate named `candidate`.
    """

    keep: str
    admit: str = ""
    show: str = ""
    squashed: bool = False


class Cell:
    """A recurrent cell s' = f(x, s). Subclass it, set the attributes, write `linearise`, or only `step`.

    name: as in a study file. formula, source: for people.
    gates: every pre-activation that input weights and a bias feed, by name.
    recurrent: the matrices (n x n) that the state meets, by name; the same as the gates unless said.
    diagonal: the recurrent weights are vectors of length n instead of matrices.
    vectors: names of vectors of length n that weigh the state beside the matrices, such as peepholes.
    parts: names of the parts of the state, each of length n: ("h",) or ("h", "c"); d = n * len(parts).
    inner_biases: name -> gate, of biases that the cell adds itself, beside the gate's own.
    memory: gate -> +1 if the state is kept when it is open, -1 if when it is closed; for biases that set a time scale.
    main_term: formula of what multiplies the memory, in a cell that has such a term and whose `linearise` therefore
    gives a `Tangent`.
    other_terms: names of the other terms of the memory's Jacobian.
    knows_drive: `linearise` gives a `Tangent` with `driven`, so that layers above each other need no autodiff.
    can_die: the derivative can be exactly zero, so that a chain of norm zero is a result and not an underflow.
    bounded: a finite state stays finite, so that overflow need not be looked for.
    at_zero, gating: what holds for this cell, and for no subclass that does not say so itself; None: not known. The
    laws of `rnnmc.theory` that read them then speak of it, and `rnnmc check-cell` holds it to them.
    fields: attributes of an instance that its numbers depend on, such as a leak rate; part of the key of one's own.

    Arrays (see `rnnmc.numerics.layout`) broadcast in either layout: `drive[gate]` and each part of the state are
    vectors, `weights.recurrent[name]` is a matrix, input by output (U_k transposed), `weights.vectors[name]` a vector,
    and directions are k rows of length n for each part. A vector times a matrix scales the rows of U. What goes over
    units, such as `weights.mean(x)`, is in `rnnmc.numerics.weights.OverUnits`: no axis has the same number in both.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    gates: ClassVar[tuple[str, ...]]
    recurrent: ClassVar[tuple[str, ...]]
    diagonal: ClassVar[bool] = False
    vectors: ClassVar[tuple[str, ...]] = ()
    parts: ClassVar[tuple[str, ...]] = ("h",)
    inner_biases: ClassVar[Mapping[str, str]] = {}
    memory: ClassVar[Mapping[str, int]] = {}
    main_term: ClassVar[str | None] = None
    other_terms: ClassVar[tuple[str, ...]] = ()
    knows_drive: ClassVar[bool] = False
    can_die: ClassVar[bool] = False
    bounded: ClassVar[bool] = False
    at_zero: ClassVar[AtZero | None] = None
    gating: ClassVar[Gating | None] = None
    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "recurrent" not in cls.__dict__ and "gates" in cls.__dict__:
            cls.recurrent = cls.gates
        if "linearise" in cls.__dict__:  # what is inherited need not fit
            cls.main_term = cls.__dict__.get("main_term")
            cls.knows_drive = cls.__dict__.get("knows_drive", False)
        for fact in ("at_zero", "gating"):  # any change of a cell may make a law of it wrong
            if fact not in cls.__dict__:
                setattr(cls, fact, None)
        if isinstance(cls.vectors, str) or {*cls.vectors} & {*cls.inner_biases}:
            raise TypeError(f"{cls.__name__}: vectors is {cls.vectors!r}; give a tuple of names, none of an inner bias")
        cls._refuse_facts_that_name_nothing()
        if cls.step is Cell.step and cls.linearise is Cell.linearise:
            raise TypeError(f"{cls.__name__} has neither step nor linearise; write one of them")

    @classmethod
    def _refuse_facts_that_name_nothing(cls) -> None:
        """Raise TypeError, for a law would look for what is not there."""
        problems = ["at_zero and gating say nothing of vectors"] if cls.vectors and (cls.at_zero or cls.gating) else []
        problems += cls._odd_at_zero(cls.at_zero) if cls.at_zero else ()
        problems += cls._odd_gating(cls.gating) if cls.gating else ()
        if problems:
            raise TypeError(f"{cls.__name__}: {problems[0]}")

    @classmethod
    def _odd_at_zero(cls, at: AtZero) -> Iterator[str]:
        if cls.diagonal:
            yield "at_zero is about matrices, and the cell is diagonal"
        if at.matrix not in cls.recurrent or not set(at.gates) <= set(cls.gates):
            yield "at_zero names what is no gate or recurrent matrix"
        if not set(at.sources) <= {*cls.gates, *cls.inner_biases}:
            yield "at_zero has a source that is no bias"
        if cls.slopes is Cell.slopes:
            yield "at_zero needs slopes"

    @classmethod
    def _odd_gating(cls, gating: Gating) -> Iterator[str]:
        if gating.keep not in cls.memory:
            yield "gating keeps by a gate that is not in memory"
        if not {gating.admit, gating.show} <= {"", *cls.gates}:
            yield "gating names what is no gate"
        if len(cls.parts) > 1 and not (gating.admit and gating.show):
            yield "gating of a state with two parts needs admit and show"
        if gating.squashed and (len(cls.parts) == 1 or "candidate" not in cls.gates):
            yield "gating is squashed, which needs two parts and a gate named candidate"

    @property
    def inner(self) -> tuple[str, ...]:
        """Names of the vectors that the cell is given itself, beside the drive: inner biases, then vector weights."""
        return (*self.inner_biases, *self.vectors)

    @property
    def has_matrices(self) -> bool:
        """Whether units meet each other through recurrent matrices."""
        return bool(self.recurrent) and not self.diagonal

    @property
    def shown(self) -> tuple[int, ...]:
        """Numbers of the parts of the state whose sum is what the rest of a network sees, a loss for one."""
        return (0,)

    def slopes(self, *openings: Any) -> tuple[Any, Any]:
        """(a, b) of `at_zero`, from the openings of its gates in their order: numbers, or arrays with one of each unit.

        Raises NotImplementedError in a cell that states no `at_zero`.
        """
        raise NotImplementedError(f"{self.name} says nothing of its zero state")

    def published(self, width: int, inputs: int) -> dict[str, Any] | None:
        """The initialisation of the cell's own paper (`init: published`), role -> laws as in a study file; or None.

        width: n. inputs: m, at least 1. Unsaid, input weights are N(0, 1/m) and biases 0; `recurrent` must be said
        where there is any.
        """
        return None

    def step(self, weights: Weights, drive: Mapping[str, Tensor], state: State) -> State:
        """The next state. drive: gate -> W_k x + b_k (or the field), each of the shape of a part of the state."""
        return self.linearise(weights, drive, state)[0]

    def linearise(self, weights: Weights, drive: Mapping[str, Tensor], state: State) -> tuple[State, Push]:
        """(next state, push), where push takes directions (ds for each part, k rows) to J ds.

        This one is forward-mode autodiff through `step`; a hand-written tangent is several times faster.
        """
        return self.step(weights, drive, state), _along(lambda *s: self.step(weights, drive, s), state, weights)

    def driven(
        self, weights: Weights, drive: Mapping[str, Tensor], state: State, push: Push
    ) -> Callable[[Mapping[str, Tensor]], State]:
        """`Tangent.driven` of `push`, which `linearise` gave; from autodiff through `step` where it knows nothing."""
        if self.knows_drive and (known := getattr(push, "driven", None)) is not None:
            return known
        of_drive = _along(
            lambda *totals: self.step(weights, dict(zip(drive, totals, strict=True)), state),
            tuple(drive.values()),
            weights,
        )
        return lambda changes: of_drive(tuple(changes[gate] for gate in drive))

    def __repr__(self) -> str:
        return f"<cell {self.name}: {self.formula}>"


def _along(step: Callable[..., State], at: State, weights: Weights) -> Push:
    """The derivative of `step` at `at`, which takes k rows for each argument, by forward-mode autodiff."""
    import torch

    axis = weights.layout.direction_axis

    def along(*direction: Tensor) -> State:
        return torch.func.jvp(step, at, direction)[1]

    def push(directions: State) -> State:
        rows = tuple(part.unsqueeze(0).transpose(0, axis + 1) for part in directions)
        pushed = torch.func.vmap(along)(*rows)
        return tuple(part.transpose(0, axis + 1).squeeze(0) for part in pushed)

    return push
