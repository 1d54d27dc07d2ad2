"""The machine, and the rates that its limits are: products, squashing functions, normal numbers, memory."""

from __future__ import annotations

import os
import platform
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import least_seconds

from rnnmc.common.granted import own_cpus
from rnnmc.engine.draws import stream

PRODUCT_SIZE = 1024
ENTRIES = 4096  # of an array that stays in the first-level cache
REPEATED = 256
NORMALS = 1 << 16
COPIED_BYTES = 1 << 28


def product_rate(dtype: torch.dtype = torch.float32, device: str = "cpu", size: int = PRODUCT_SIZE) -> float:
    """Floating-point operations per second of one large matrix product, best of several."""
    a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    out = torch.empty_like(a)

    def multiply() -> None:
        torch.mm(a, b, out=out)
        if device == "cuda":
            torch.cuda.synchronize()

    multiply()
    return 2 * size**3 / least_seconds(multiply)


def function_seconds(name: str) -> float:
    """Of one evaluation of torch.sigmoid or torch.tanh, on float32 numbers that are in the cache."""
    x = torch.randn(ENTRIES)
    run, out = partial(getattr(torch, name), x), torch.empty_like(x)

    def evaluate() -> None:
        for _ in range(REPEATED):
            run(out=out)

    evaluate()
    return least_seconds(evaluate) / (ENTRIES * REPEATED)


def normal_rate() -> float:
    """Standard normal numbers per second, from the generator that all draws come from."""
    numbers = stream("benchmark", 0, 0, "drive", "float32")
    numbers.standard_normal(NORMALS)
    return NORMALS / least_seconds(lambda: numbers.standard_normal(NORMALS))


def copy_rate() -> float:
    """Bytes per second read and written while one large array is copied to another."""
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / least_seconds(lambda: target.copy_(source))


def described() -> dict[str, Any]:
    """What it is and what runs on it, as text and whole numbers."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",  # a name alone may be of several
        "cores": own_cpus(),
        "memory": memory,
        "gpu": gpu,
        "compiler": _compiler(),
    } | versions


def rates() -> dict[str, float]:
    """Of one thread; flop, numbers and bytes a second, and seconds of one evaluation."""
    return {
        "product_float32": product_rate(),
        "product_float64": product_rate(torch.float64),
        "sigmoid_seconds": function_seconds("sigmoid"),
        "tanh_seconds": function_seconds("tanh"),
        "normals": normal_rate(),
        "copied_bytes": copy_rate(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _compiler() -> str | None:
    """First line of what the C compiler says of itself."""
    from rnnmc.numerics.compiler import compiler

    found = compiler()
    return found[1].splitlines()[0] if found else None
