"""Tied networks of any width, drawn as far as they are seen: the growth of one tangent vector, beside theory.

What a matrix U has answered to the rows that it has met is known, and the rest of it is as random as it always was
(`rnnmc.engine.conditional.draws`). Two rows a step, the state and one direction, meet U, so that T steps cost O(n T^2)
and O(n T) of memory: a real recurrent network of 100,000 units, whose matrix alone would take 40 GB, follows 80 steps
in seconds. The norm of P_T would need sweeps back and forth whose rows all add up, and takes longer than it is worth.

    python benchmarks/wide_tied.py                       all of POINTS, a minute
    python benchmarks/wide_tied.py --widths 512,100000 --steps 80
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import torch

from rnnmc.engine.conditional.chain import follow
from rnnmc.study.point import DesignPoint
from rnnmc.theory import predictions

CELLS, GAINS, FIELD = ("lstm", "gru", "gru_reset_after", "gru_output_gated"), (1.0, 2.0), 0.5
UNITS = 1 << 17  # of all replicates of a width together, no more than MOST
MOST = 64


def growth(point: DesignPoint, replicates: int) -> tuple[float, float]:
    """(mean, standard error) of the growth of a tangent vector between the last two horizons, in nats a step."""
    with torch.no_grad():
        logged = follow(point, [(0, 0)], replicates, directions=1).logged[-2:]
    logs = [torch.linalg.vector_norm(one.images[:, 0].double(), dim=1).log() for one in logged]
    shifts = [one.exponent.flatten().double() * math.log(2) for one in logged]
    steps = logged[1].horizon - logged[0].horizon
    rates = ((logs[1] + shifts[1] - logs[0] - shifts[0]) / steps).numpy()
    return float(rates.mean()), float(rates.std(ddof=1) / math.sqrt(len(rates)))


def main() -> None:
    """Print one line for each cell, gain and width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="512,8192,100000")
    parser.add_argument("--steps", type=int, default=80)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"tied, field {FIELD}, between {asked.steps // 2} and {asked.steps} steps; nats a step, one thread")
    for cell in CELLS:
        for gain in GAINS:
            init = {"recurrent": {"gaussian": gain}, "input": {"gaussian": FIELD}, "bias": 0}
            said = {"cell": cell, "init": init, "drive": "field", "horizons": (asked.steps // 2, asked.steps)}
            for width in (int(one) for one in asked.widths.split(",")):
                replicates = int(np.clip(UNITS // width, 2, MOST))
                start = time.perf_counter()
                rate, error = growth(DesignPoint(width=width, **said), replicates)
                spent = time.perf_counter() - start
                print(f"{cell:18} gain {gain:g}  n {width:6,}  {rate:+.5f} +- {error:.5f}  {spent:6.1f} s", flush=True)
            theory = [one.growth_rate for _, one in predictions(DesignPoint(width=width, **said)) if one.growth_rate]
            print(f"{'':18} theory of large width: {f'{theory[0]:+.5f}' if theory else 'none'}", flush=True)


if __name__ == "__main__":
    main()
