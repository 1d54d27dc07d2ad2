#!/bin/sh
# Have snakedeploy put this workflow into an empty folder, as it would from a repository of GitHub's, and run it there.
#
#     elsewhere/deployed.sh SNAKEDEPLOY FOLDER       make elsewhere does it
#
# What is committed is deployed. The file that it writes names a repository on GitHub; that name alone is put right.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
snakedeploy=$(realpath "$1")
rm -rf "$2"
mkdir -p "$2/github/someone"
cd "$2"
git clone --quiet "$here" github/someone/rnnmc
"$snakedeploy" --quiet deploy-workflow "file://$PWD/github/someone/rnnmc" deployed --branch HEAD
cd deployed
grep -q 'github("someone/rnnmc", path="workflow/Snakefile", branch="HEAD")' workflow/Snakefile
sed -i 's|github("someone/rnnmc".*|"../../github/someone/rnnmc/workflow/Snakefile"|' workflow/Snakefile
snakemake -j 2 --config replicates=20
rnnmc verify results/config
test -s results/config/report.html
