"""Type every command of README.md in a fresh clone of what is committed, and see that each does what it is there for.

    python elsewhere/readme.py FOLDER      make readme does it: half an hour on 2 cores

FOLDER is made anew. Studies are run at a hundredth of their replicates. What wants another machine is left out, and so
is `make test`. Prints each command with its seconds, and the last line of what it said; exit 1 where one failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
FENCED = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")  # how a block begins that is a file of the reader's
LEFT_OUT = ("make test", "RAY_ADDRESS=head", ".venv/bin/snakemake --profile profiles/slurm", "sbatch")
TOLD_SO = {"rnnmc kernel mycell:leaky": 2}  # what README says is refused
PATIENCE = 3600.0  # seconds
NETWORKS = """
import torch
torch.manual_seed(0)
for name in ("model", "before", "after"):
    torch.save(torch.nn.LSTM(1, 8).state_dict(), f"{name}.pt")
"""


def typed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """(exit code, last line said) of a command."""
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
    )
    said = (run.stderr if run.returncode else run.stdout).strip().splitlines()
    return run.returncode, said[-1] if said else ""


def commands(kind: str, code: str, folder: Path) -> list[tuple[str, list[str]]]:
    """(as it stands, as it is run) of a block; a file of the reader's is written."""
    if kind == "sh":
        lines = [line.strip() for line in code.splitlines() if line.strip()]
        return [(line, ["bash", "-c", line]) for line in lines if not any(word in line for word in LEFT_OUT)]
    if named := FILE.match(code):
        (folder / named[1]).write_text(code)
        return []
    return [(code.splitlines()[0], [".venv/bin/python", "-c", code])]


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", HERE, folder], check=True)
    ours = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"PATH": f"{folder}/.venv/bin:{environment['PATH']}", "SCALE": "0.01"}
    (folder / "mine.csv").write_text("value\n" + "".join(f"{i % 7 - 3}\n" for i in range(200)))
    wrong = 0
    for kind, code in FENCED.findall((folder / "README.md").read_text()):
        for line, command in commands(kind, code, folder):
            if "model.pt" in line:
                subprocess.run([".venv/bin/python", "-c", NETWORKS], cwd=folder, env=environment, check=True)
            begin = time.monotonic()
            code_said, last = typed(command, folder, environment)
            wanted = next((code for start, code in TOLD_SO.items() if line.startswith(start)), 0)
            wrong += code_said != wanted
            what = "ok" if code_said == wanted else f"EXIT {code_said}"
            print(
                f"{what:7} {time.monotonic() - begin:6.1f} s  {line.partition('  #')[0]}\n        {last[:110]}",
                flush=True,
            )
    sys.exit(f"{wrong} commands failed" if wrong else 0)


if __name__ == "__main__":
    main()
