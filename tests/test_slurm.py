"""The slurm profile on a real SLURM, where one answers: one job a design point, each with a Ray of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from studies import ROOT, command, sample_here, samples_digest, small, snakemake, study_of, write


def _no_slurm() -> str:
    if not shutil.which("sbatch"):
        return "no sbatch on this machine"
    try:
        answer = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        return "sinfo does not answer"
    return "" if answer.returncode == 0 and "idle" in answer.stdout else "SLURM has no idle node"


@pytest.mark.process
@pytest.mark.slurm
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(_no_slurm()), reason=_no_slurm() or "-")
def test_a_study_on_slurm_leaves_the_samples_of_one_process(tmp_path: Path) -> None:
    run = command(
        *snakemake(write(tmp_path, small()), "--profile", str(ROOT / "profiles" / "slurm")),
        "--slurm-no-account",
        *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5"),
        *("--default-resources", "mem_mb=3000", "runtime=10", "--set-threads", "sample=1"),
        cwd=tmp_path,
        patience=500,
    )
    assert run.returncode == 0, run.stderr
    assert samples_digest(tmp_path / "results" / "small") == sample_here(study_of(small()), tmp_path / "alone")
