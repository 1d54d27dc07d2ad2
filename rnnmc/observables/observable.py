"""What every observable offers: the columns that it stores, and a watch over the steps of a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from rnnmc.common.described import Described
from rnnmc.common.sources import source_of

if TYPE_CHECKING:  # a plan needs the names and columns only, and torch takes a second to import
    from rnnmc.cells.cell import Cell, State
    from rnnmc.chain.product import Watch
    from rnnmc.drives.drive import Drive
    from rnnmc.numerics.layout import Layout


class Point(Protocol):
    """What an observable may know of a design point.

    cell: its name. horizons: steps, rising. state_size: d, the length of the joint state.
    """

    @property
    def cell(self) -> str: ...
    @cached_property
    def cell_object(self) -> Cell: ...
    @property
    def width(self) -> int: ...
    @property
    def drive(self) -> Drive: ...
    @property
    def weights(self) -> str: ...
    @property
    def horizons(self) -> tuple[int, ...]: ...
    @property
    def state_size(self) -> int: ...


class Observable(Described):
    """Something more to look at along a chain than its norm. Subclass it, set the attributes, write the methods.

    It looks on: it changes no number of the samples. Its rows have the keys of the samples (point, block, replicate);
    each replicate has the same m rows, told apart by labels.

    labels: name -> Arrow type of the columns that say what a row is about, such as its horizon in steps.
    columns: name -> Arrow type of the columns of values.
    steps_power: its work grows as this power of the number of steps. bytes_a_row: on disk, compressed.
    whole_chain: whether it looks at `Step.chain`. One that does not is spared it where the norms come from a few
    directions: `Step.chain` is then a single direction, which is zero once the chain is.
    examples: design points, as a study file says them, where the check looks beside its own.
    """

    labels: ClassVar[Mapping[str, pa.DataType]] = {"horizon": pa.int32()}
    columns: ClassVar[Mapping[str, pa.DataType]]
    steps_power: ClassVar[int] = 1
    bytes_a_row: ClassVar[float] = 8.0
    whole_chain: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = ()

    def check(self, point: Point) -> None:
        """Raise ValueError where this point has no such thing: the rest of a sentence that starts with the name."""

    def index(self, point: Point) -> dict[str, np.ndarray]:
        """label -> (m,): what each of the m rows of a replicate is about."""
        return {"horizon": np.array(point.horizons, np.int32)}

    def watch(self, point: Point, layout: Layout, start: State, generators: Sequence[np.random.Generator]) -> Watch:
        """A watch over one tile that starts at the state `start` (its dtype and device are the chain's).

        generators: one for each of the parts of equal size that the tile's replicates are drawn in, for random
        directions; nothing else draws from them.
        """
        raise NotImplementedError

    def shorter(self, tile: int) -> tuple[Observable, float]:
        """One of its kind for timing, and how many times as long this one takes, with a tile of so many replicates."""
        return self, 1.0

    def identity(self) -> Any:
        """All that decides what it sees: what it is in a study file; with its source, where it is one of one's own."""
        digest = source_of(type(self)).digest
        return {"written": self.written(), "source": digest} if digest else self.written()

    def schema(self) -> pa.Schema:
        """Of its shards: the keys, the labels, the values."""
        return pa.schema([*KEYS.items(), *self.labels.items(), *self.columns.items()])


KEYS: Mapping[str, pa.DataType] = {
    "point": pa.dictionary(pa.int32(), pa.string()),
    "block": pa.int32(),
    "replicate": pa.int32(),
}
