#!/usr/bin/env bash
# How a campaign scales on this cluster: the same run on 1, 2, 4, ... ranks up to all tasks of the job.
#   sbatch --nodes=8 --export=ALL,TWINSCREEN_HOME=$PWD cluster/slurm/scaling.sh [folder that all nodes see] [--stimuli N ...]
# Appends to results/scaling.jsonl there; benchmarks/plot_scaling.py draws it.
#SBATCH --job-name=twinscreen-scaling
#SBATCH --nodes=4                # change: nodes, ranks per node
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --exclusive
#SBATCH --time=01:00:00
#SBATCH --output=twinscreen-scaling-%j.log

set -euo pipefail
: "${TWINSCREEN_HOME:?the clone, as an absolute path}"
folder=${1:-$PWD}/results
program=${TWINSCREEN_PROGRAM:-$TWINSCREEN_HOME/build/release/twinscreen}
launcher="srun -n"
if command -v mpirun > /dev/null; then launcher="mpirun -n"; fi
ranks=1
for ((more = 2; more <= SLURM_NTASKS; more *= 2)); do ranks+=,$more; done
for kind in strong weak; do
    python3 "$TWINSCREEN_HOME/benchmarks/scaling_run.py" "$kind" --twinscreen "$program" --launcher "$launcher" \
        --ranks "$ranks" --scratch "$folder/scaling-$SLURM_JOB_ID" --table "$folder/scaling.jsonl" "${@:2}"
done
