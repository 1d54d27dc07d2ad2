#!/bin/sh
# The CUDA tests and the GPU part of the benchmarks, on a machine that has a GPU, torch, and no network.
#
#   benchmarks/gpu.sh wheels FOLDER 3.12   # where there is a network: what is needed beside torch, by that Python
#   benchmarks/gpu.sh run FOLDER           # where the GPU is: 8 minutes at most; leaves $OUT/results.json, OUT=. unless set
#
# `run` takes python3, or $PYTHON, with the torch that it has, and installs nothing: the wheels are unpacked into a
# temporary folder. Copy results.json to benchmarks/ afterwards; make bench BENCH="--only" then fills docs/performance.md.
set -eu
cd "$(dirname "$0")/.."
NEEDED="annotated-types hypothesis iniconfig mpmath numpy packaging pluggy polars polars-runtime-32 pyarrow
pydantic pydantic-core pygments markdown-it-py mdurl pytest pytest-timeout pyyaml rich scipy sortedcontainers
typing-extensions typing-inspection"
SAID="usage: benchmarks/gpu.sh wheels FOLDER PYTHON_VERSION; then, where the GPU is: benchmarks/gpu.sh run FOLDER"

case "${1:-}-$#" in
wheels-3)
    for name in $NEEDED; do grep -E "^$name==" requirements.lock; done |
        python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary :all: \
            --python-version "$3" --dest "$2" --requirement /dev/stdin
    ls "$2"
    ;;
run-2)
    python=${PYTHON:-python3}
    "$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' || {
        echo "gpu.sh: $python finds no torch with a CUDA device; give another by PYTHON=" >&2
        exit 1
    }
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    for wheel in "$2"/*.whl; do "$python" -m zipfile -e "$wheel" "$site"; done
    export PYTHONPATH="$PWD:$site" PYTHONDONTWRITEBYTECODE=1
    code=0
    timeout 220 "$python" -m pytest -q -m gpu -p no:cacheprovider tests/engine || code=$?
    mkdir -p "${OUT:-.}"
    cp benchmarks/results.json "${OUT:-.}/results.json"
    timeout 240 "$python" benchmarks/bench.py --only gpu --cells lstm gru tanh --widths 16 64 256 1024 \
        --output "${OUT:-.}/results.json" || code=$?
    exit "$code"
    ;;
*)
    echo "$SAID" >&2
    exit 2
    ;;
esac
