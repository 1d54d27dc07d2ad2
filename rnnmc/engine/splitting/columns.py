"""The columns of what a population finds: see `rnnmc.engine.splitting.run.population_table`."""

from __future__ import annotations

import pyarrow as pa

from rnnmc.observables.observable import KEYS

POPULATIONS = pa.schema(
    [
        *KEYS.items(),
        ("horizon", pa.int32()),
        ("level", pa.int16()),
        ("score", pa.float64()),
        ("threshold", pa.float64()),
        ("log_probability", pa.float64()),
        ("acceptance", pa.float64()),
        ("alike", pa.float64()),
        ("ancestors", pa.float64()),
        ("family", pa.float64()),
        ("step", pa.float64()),
        ("reached", pa.bool_()),
        ("particles", pa.int32()),
        ("evaluations", pa.int64()),
    ]
)
