"""C source becomes a function, by the machine's own C compiler; what was compiled once is kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from rnnmc.common.files import held_folder
from rnnmc.numerics import trusted

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
QUIET = ("-w",)
KERNELS = "compiled"  # the kind of what is kept
PATIENCE = 120  # seconds that a compiler may take
AGAIN_AFTER = 1.0  # seconds after which a compiler that failed is asked once more: memory or disk may have been short

log = logging.getLogger("rnnmc")
Kept = TypeVar("Kept")


@cache
def step_header() -> str:
    """`step.h`: the vectors, functions and products that the C of a chain and of norms is written in."""
    return (Path(__file__).parent / "step.h").read_text(encoding="utf-8")


@cache
def compiler() -> tuple[str, str] | None:
    """(path, version) of the C compiler that CC names, or of cc, gcc or clang; None, and a line of log, without one."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["cc", "gcc", "clang"]
    for name in names:
        path = shutil.which(name)
        if path is None:
            continue
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return path, said.stdout
    log.warning("no C compiler was found (CC, cc, gcc, clang): the chain runs on the plain engine, which is slower")
    return None


def compiled(source: str, name: str) -> Any:
    """The function of this name, as ctypes has it, or None where the source cannot be compiled; the log says why."""
    found = compiler()
    if found is None:
        return None
    stem = _stem(source)
    library = f"{stem}.so"
    try:
        path = trusted.found(KERNELS, library) or trusted.keep(KERNELS, library, _built(found[0], source))
        function = getattr(ctypes.CDLL(str(path)), name)
        _loaded[stem] = hashlib.sha256(trusted.content(path)).hexdigest()
        return function
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        log.warning("a kernel could not be compiled: %s", said.strip().splitlines()[0])
    return None


def toolchain() -> str:
    """What makes machine code here, in words; without a compiler, what the processor can do."""
    found = compiler()
    return found[1].splitlines()[0] if found else f"no compiler, processor {_short(_processor())}"


def code_of(sources: Iterable[str]) -> str:
    """Eight characters that name the machine code which this process has loaded of these sources, or "none".

    The same compiler gives other code when it is called with other options, or on another processor.
    """
    found = [_loaded.get(_stem(source), "none") for source in sources]
    return _short(" ".join(found)) if {*found} - {"none"} else "none"


def forget() -> None:
    """Have this process look for a compiler, and load what it makes, anew: what failed once may not the next time."""
    compiler.cache_clear()
    for clear in _forgotten:
        clear()


def kept_until_forgotten(function: Callable[..., Kept]) -> Callable[..., Kept]:
    """`functools.cache`, until `forget`."""
    kept = cache(function)
    _forgotten.append(kept.cache_clear)
    return kept


_loaded: dict[str, str] = {}  # stem -> digest of the library, of what this process has loaded
_forgotten: list[Callable[[], None]] = []


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def remembered(source: str, about: str, make: Callable[[], str]) -> str:
    """What `make` says about the function compiled from this source, kept beside it on disk under `about`."""
    name = f"{_stem(source)}-{hashlib.sha256(about.encode()).hexdigest()[:16]}.txt"
    path = trusted.found(KERNELS, name)
    if path is not None:
        return trusted.content(path).decode()
    said = make()
    with suppress(OSError):  # asked again by the next process
        trusted.keep(KERNELS, name, said.encode())
    return said


def _stem(source: str) -> str:
    """The name of what this compiler makes of this source on this machine."""
    version = found[1] if (found := compiler()) else ""
    said = "\n".join((source, version, *FLAGS, platform.machine(), _processor()))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _built(path: str, source: str) -> bytes:
    """The library that this compiler makes of the source. Raises SubprocessError where it makes none."""
    with held_folder() as folder:
        written, built = folder / "kernel.c", folder / "kernel.so"
        written.write_text(source, encoding="utf-8")
        command = [path, *FLAGS, *QUIET, "-o", str(built), str(written), "-lm"]
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        except (OSError, subprocess.SubprocessError):
            time.sleep(AGAIN_AFTER)
            subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return built.read_bytes()


@cache
def _processor() -> str:
    """What the processor can do, as the system tells it: a cache may be shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
