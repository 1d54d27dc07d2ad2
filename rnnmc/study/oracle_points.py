"""Design points whose laws are known exactly, for any study to carry: seconds in all.

No mistake known to us is one that they would not tell (tests/faults/test_planted_mistakes.py). Log-norms fall far below
what float32 can hold without rescaling.
"""

from __future__ import annotations

from typing import Any

STANDARD: tuple[dict[str, Any], ...] = (
    {  # c_T is in its norm, and c_1 is not: the order of time
        "cell": "lstm",
        "width": 1,
        "init": {"recurrent": {"constant": 0.0}, "bias": {"constant": 0.0, "forget": 1.0, "output": 2.0}},
        "drive": "none",
        "state_std": 1.0,
        "dtype": "float64",
        "horizons": [2, 5, 10],
        "replicates": 6000,
    },
    {
        "cell": "lstm",
        "width": 4,
        "init": {"recurrent": {"constant": 0.0}, "bias": {"chrono": 20.0, "output": 1.0, "candidate": 1.0}},
        "drive": "none",
        "horizons": [2, 20, 200],
        "replicates": 4000,
    },
    {  # the memory path and the path through h add up: f + i o phi
        "cell": "lstm",
        "width": 1,
        "init": {"recurrent": {"gaussian": 1.5}, "bias": {"constant": 0.0, "forget": 1.0}},
        "drive": "none",
        "horizons": [1, 10, 100],
        "replicates": 6000,
    },
    {
        "cell": "gru_reset_after",
        "width": 3,
        "init": {
            "recurrent": {"gaussian": 1.5, "candidate": {"identity": 1.2}},
            "bias": {"constant": 0.0, "update": {"uniform": {"limit": 2.0}}, "reset": 1.0},
        },
        "drive": "none",
        "horizons": [1, 10, 100],
        "replicates": 6000,
    },
    {
        "cell": "gru_output_gated",
        "width": 2,
        "init": {"recurrent": {"constant": 0.0}, "input": {"gaussian": 1.0}, "bias": {"constant": 0.0, "update": -1.5}},
        "drive": "field",
        "horizons": [1, 10, 100],
        "replicates": 6000,
    },
    {
        "cell": "gru",
        "width": 1,
        "init": {"recurrent": {"gaussian": 2.0}, "bias": {"constant": 0.0, "update": 1.0}},
        "drive": "none",
        "weights": "untied",
        "horizons": [1, 10, 100],
        "replicates": 6000,
    },
    {
        "cell": "linear",
        "width": 1,
        "init": {"recurrent": {"gaussian": 0.8}},
        "drive": "none",
        "weights": "untied",
        "horizons": [3, 30, 300],
        "replicates": 6000,
    },
    {
        "cell": "relu",
        "width": 2,
        "init": {"recurrent": {"identity": 1.0}},
        "drive": "none",
        "state_std": 1.0,
        "horizons": [5, 50],
        "replicates": 2000,
    },
    {
        "cell": "lru",
        "width": 6,
        "init": {"recurrent": {"ring": {"outer": 1.0, "inner": 0.5}}},
        "drive": "white",
        "horizons": [1, 30, 300],
        "replicates": 4000,
    },
    {  # nothing is left to chance: the drift of the arithmetic
        "cell": "tanh",
        "width": 12,
        "init": {"recurrent": {"orthogonal": 1.0}},
        "drive": "none",
        "horizons": [10, 300],
        "replicates": 200,
    },
)
