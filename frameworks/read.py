"""Growth rates of layers whose law was read in their source and could not be run here: frameworks/beside/read.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from compare import rate_of
from layers import AT, INPUTS, WIDTH

from rnnmc.engine.block import run_block
from rnnmc.study.point import DesignPoint

OUT = Path(__file__).parent / "beside/read.json"
DRAWS = 200
WITHIN_ONE = {"uniform": {"limit": 1.0}}
READ: dict[str, Any] = {name: name for name in ("Flux.RNN", "Flux.LSTM", "Flux.GRU", "Flux.GRUv3", "Lux.GRUCell")} | {
    "R, rnn 1.9.1: trainr(network_type = 'lstm')": {
        "cell": "lstm",
        "init": {"recurrent": WITHIN_ONE, "input": WITHIN_ONE, "bias": WITHIN_ONE},
    }
}


def main() -> None:
    found = {}
    for name, said in READ.items():
        found[name] = {}
        for m in INPUTS:
            of = {"init": said} if isinstance(said, str) else said
            point = DesignPoint(**of, width=WIDTH, drive={"white": m}, horizons=AT, dtype="float64")
            norms = np.array(run_block(point, 0, DRAWS)["log_spectral"]).reshape(-1, len(AT))
            found[name][str(m)] = [round(number, 5) for number in rate_of(norms)]
        print(name, found[name], flush=True)
    OUT.write_text(json.dumps({"draws": DRAWS, "rates": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
