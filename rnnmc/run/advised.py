"""What to set instead, asked from Python and from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnmc.common.errors import UsageError
from rnnmc.initialisers import full_name, layers
from rnnmc.report.framework_layers import BY_LAYER, FRAMEWORKS, layer_of
from rnnmc.run import advice_told
from rnnmc.run.advise import Advice
from rnnmc.run.advise import advise as advice_on
from rnnmc.run.progress import Tell
from rnnmc.study.candidates import Advised, base_of
from rnnmc.study.options import known_cell
from rnnmc.study.study import Thresholds

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Recommendation:
    """What is advised; printed it is a paragraph. framework: or the layer that `code` is for, or None."""

    advice: Advice
    framework: str | None

    @property
    def init(self) -> Any:
        """The best initialisation of the cell that was asked about, as under `init:` and in `DesignPoint`."""
        return self.advice.best.point.init.written()

    @property
    def ranking(self) -> pl.DataFrame:
        """A row for each candidate, best first; shares and intervals as `rnnmc advise` prints them, nats a step."""
        import polars as pl

        rows = advice_told.in_rows(self.advice)
        for row in rows:
            del row["init"]  # of many shapes; `name` says it
            for steps in ("by_tenth", "by_tenfold"):
                row[steps] = row[steps] and row[steps]["p_stable_by"]
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def code(self) -> str | None:
        """Lines of Python that set it in the framework; None where that has no lines for it, or none was named."""
        return advice_told.code_of(self.advice.best, self.framework)

    def __str__(self) -> str:
        return "\n".join(advice_told.sentences(self.advice))


def advise(
    cell: str,
    width: int = 64,
    steps: int = 1000,
    *,
    framework: str | None = None,
    other_cells: bool = False,
    drive: Any = "white",
    vanish: float = 1e-3,
    explode: float = 1e3,
    dtype: str = "float32",
    seed: int = 7888,
    tell: Tell | None = None,
) -> Recommendation:
    """Rank initialisations of a cell by P(stable by `steps`), and find the best forget bias or gain.

    cell: a name, module:attribute, or a layer such as keras.layers.LSTM, on whose default the candidates then rest and
    for which code is written; else on those of `framework`, torch where it runs the cell. other_cells: rank them too.
    drive: as in a study file. The rest as the options of `rnnmc advise`; docs/advise.md says what comes of it, and that
    it takes a minute or so. Raises UsageError, before any work, for what cannot be.
    """
    if type(steps) is not int or steps < 10:
        raise UsageError(f"--steps: {steps!r} is too few to tell anything; give at least 10, a whole number")
    base, cell = None, full_name(cell)
    if cell in layers():
        if framework is not None:
            raise UsageError(f"--framework: {framework} beside the layer {cell} says it twice; leave it out")
        base, cell, framework = cell, layers()[cell].cells[0], cell if cell in BY_LAYER else None
    found = known_cell(cell)
    if framework is None and base is None and cell in FRAMEWORKS["torch"]:
        framework = "torch"
    if framework is not None:
        base = layer_of(framework, cell).default
    question = Advised(cell, width, steps, base_of(found, base), drive, dtype=dtype, seed=seed)
    thresholds = Thresholds.checked(vanish=vanish, explode=explode)
    return Recommendation(advice_on(question, other_cells, thresholds, tell), framework)
