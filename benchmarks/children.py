"""Python processes of their own, for what must be measured from the first import on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

PEAK = """
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
"""  # bytes; unlike what getrusage says, not those of the process that this one was forked from


def told(program: str, *words: str, **environment: str) -> Any:
    """What a Python program prints as JSON in its last line. Its failure is told with its last words."""
    command = [sys.executable, "-c", PEAK + program, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise SystemExit(f"a measurement failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])
