#!/usr/bin/env bash
# snakemake 9.27.1. Found 2026-11-29.
#
# Expected: a workflow that includes another one has the other's default target, all the more where that is marked by
# default_target, or else there is an error: no file that was asked for is there.
# What happens: rules that come by include are no default, marked or not, and "no rule at all" is a workflow that is done:
#                                        run by itself          through include
#     rule all first                     2 jobs                 "Nothing to be done (all requested files are present and up to date)", exit 0
#     default_target: True               2 jobs                 the same
# A rule of the including file whose input is rules.all.input has both jobs again.
#
# Why it matters: workflow/Snakefile with one include of the root's Snakefile is the plain way to be found by the catalogue and by
# snakedeploy. Whoever then runs a study of days on a cluster is told, with exit 0, that all files are present; none is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q snakemake==9.27.1
cd "$folder"
cat > first.smk <<'SMK'
rule all:
    input: "made"
rule make:
    output: "made"
    shell: "touch {output}"
SMK
cat > marked.smk <<'SMK'
rule make:
    output: "made"
    shell: "touch {output}"
rule all:
    default_target: True
    input: "made"
SMK
run() { "$folder/venv/bin/snakemake" -s "$1" -n 2>&1; }
for name in first marked; do
    echo "include: \"$name.smk\"" > "outer_$name.smk"
    run "$name.smk" | grep -q "^total *2" || { echo "$name by itself: not 2 jobs"; exit 1; }
    said=$(run "outer_$name.smk")
    echo "$name, included: exit $?: $(echo "$said" | tail -1)"
    echo "$said" | grep -q "Nothing to be done (all requested files are present and up to date)" || { echo "an included default counts now"; exit 1; }
done
printf 'include: "first.smk"\nrule everything:\n    input: rules.all.input\n' > named.smk
run named.smk | grep -q "^total *2" || { echo "named.smk: not 2 jobs"; exit 1; }
test ! -e made
