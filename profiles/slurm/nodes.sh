#!/bin/bash
# A study as one SLURM job over several nodes, with one Ray over all of them:
#     sbatch --nodes 4 --exclusive profiles/slurm/nodes.sh config/mine.yaml
# From this checkout, its .venv active. Alone on its nodes: `ray symmetric-run` ends with `ray stop`, which ends every Ray
# of this user there, those of other jobs too. A job that is requeued goes on with the blocks that are there.
#SBATCH --ntasks-per-node 1
#SBATCH --requeue
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
(umask 077 && ray get-auth-token --generate >/dev/null) || exit  # nobody else may read it
name=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
number=$(getent ahostsv4 "$name" | awk 'NR == 1 {print $1}')
head=${number:-$name}:6379  # of a name Ray asks a DNS server, and gives up where none answers, whatever /etc/hosts says
srun ray symmetric-run --address "$head" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_ON_NODE" --object-store-memory 104857600 \
    -- env RAY_ADDRESS="$head" rnnmc run "$@"
