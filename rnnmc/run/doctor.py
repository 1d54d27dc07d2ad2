"""What this machine is and lacks, for rnnmc, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnmc.common.errors import UsageError, first_line

GOOD, POOR, FATAL = "good", "poor", "fatal"
NEEDED_DISK, NEEDED_MEMORY = 2**30, 2**31  # bytes
EXTRAS = {"inspect": ("h5py", "onnx", "safetensors")}


@dataclass(frozen=True)
class Found:
    """One thing that was looked at. state: GOOD; POOR, which costs time or a feature; or FATAL, where studies fail.

    remedy: what to do, where it is not good.
    """

    name: str
    state: str
    said: str
    remedy: str = ""


def examined(results: Path) -> list[Found]:
    """Everything that was looked at. results: where studies are to go."""
    return [one for look in EXAMINATIONS for one in look(results)]


def _software(_: Path) -> Iterator[Found]:
    versions = {name: importlib.metadata.version(name) for name in ("rnnmc", "torch", "ray", "snakemake", "polars")}
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield Found("software", GOOD, f"{said}; Python {platform.python_version()} on {platform.system()}")
    for extra, modules in EXTRAS.items():
        lacking = [name for name in modules if importlib.util.find_spec(name) is None]
        if lacking:
            remedy = f"pip install 'rnnmc[{extra}]', if rnnmc {extra} is to read such files"
            yield Found(extra, POOR, f"{', '.join(lacking)} not installed", remedy)


def _cores(_: Path) -> Iterator[Found]:
    from rnnmc.common.granted import own_cpus

    mine, there = own_cpus(), os.cpu_count() or 1
    busy = os.getloadavg()[0]
    said = f"{mine} of {there} processors for this process; {busy:.1f} processes want one at the moment"
    remedy = "wait, or expect studies to take longer and `rnnmc plan` to say so" if busy > mine else ""
    yield Found("processors", POOR if busy > mine else GOOD, said, remedy)


def _memory(_: Path) -> Iterator[Found]:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass  # what the system says of itself is less, for it leaves out what a cache would give back
    enough = free > NEEDED_MEMORY
    remedy = "" if enough else "end other programs: Ray alone takes about a gigabyte"
    yield Found("memory", GOOD if enough else POOR, f"{free / 1e9:.1f} GB free", remedy)


def _compiler(_: Path) -> Iterator[Found]:
    from rnnmc.numerics.compiler import compiled, compiler

    found = compiler()
    if found is None:
        yield Found("C compiler", POOR, "none", "install gcc, or set CC: without it chains run several times slower")
        return
    works = compiled("int rnnmc_works(void) { return 1; }", "rnnmc_works") is not None
    said = f"{found[0]}: {found[1].splitlines()[0]}"
    remedy = "" if works else "it cannot build a library; give another in CC, or make room in the folder of TMPDIR"
    yield Found("C compiler", GOOD if works else POOR, said, remedy)


def _devices(_: Path) -> Iterator[Found]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield Found("GPUs", GOOD, ", ".join(names) or "none; chains run on the processors")


def _folders(results: Path) -> Iterator[Found]:
    from rnnmc.numerics.trusted import folders

    kept = next(iter(folders("compiled")), None)
    where = "give a folder of your own in XDG_CACHE_HOME: kernels are compiled again by every process"
    yield Found("cache", GOOD if kept else POOR, str(kept or "no folder can be written"), "" if kept else where)
    there = next(one for one in (results.absolute(), *results.absolute().parents) if one.exists())
    if not os.access(there, os.W_OK):
        yield Found("results", FATAL, f"{there} cannot be written", "give another folder, or work where you may write")
        return
    free = shutil.disk_usage(there).free
    remedy = "" if free > NEEDED_DISK else "make room: `rnnmc plan` says what a study needs"
    yield Found("results", GOOD if free > NEEDED_DISK else POOR, f"{free / 1e9:.1f} GB free in {there}", remedy)


def _ray(_: Path) -> Iterator[Found]:
    from rnnmc.run.cluster import connected

    address = os.environ.get("RAY_ADDRESS")
    try:
        with connected() as cluster:
            where = f"the cluster at {address}" if address else "starts here"
            yield Found("Ray", GOOD, f"{where}: {cluster.cpus} CPUs, {cluster.gpus} GPUs")
    except Exception as error:  # whatever keeps it from starting is what was asked
        remedy = "see the message; `rnnmc measure` of few replicates works without Ray"
        yield Found("Ray", FATAL, first_line(error), "" if isinstance(error, UsageError) else remedy)


def _slurm(_: Path) -> Iterator[Found]:
    if shutil.which("sbatch") is None:
        return
    plugin = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None
    remedy = "" if plugin else "pip install 'rnnmc[slurm]', to let Snakemake give each design point a job"
    yield Found("SLURM", GOOD if plugin else POOR, "sbatch is there" + ("" if plugin else ", its plugin not"), remedy)


EXAMINATIONS: tuple[Callable[[Path], Iterator[Found]], ...] = (
    _software,
    _cores,
    _memory,
    _compiler,
    _devices,
    _folders,
    _ray,
    _slurm,
)
