#!/usr/bin/env bash
# A campaign on GPUs, one rank for each:
#   sbatch --export=ALL,TWINSCREEN_HOME=$PWD cluster/slurm/gpu.sh my_campaign.toml results/my_campaign
#SBATCH --job-name=twinscreen
#SBATCH --partition=gpu          # change: partition, nodes, GPUs of a node (twice), cores beside each, memory, time
#SBATCH --nodes=2
#SBATCH --gpus-per-node=4
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8        # readers and the writer of a rank need cores of their own
#SBATCH --mem=128G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=twinscreen-%j.log

: "${TWINSCREEN_HOME:?the clone, as an absolute path}"
program=${TWINSCREEN_PROGRAM:-$TWINSCREEN_HOME/build/release/twinscreen}
campaign=${1:?the campaign file}
out=${2:?the folder of the store}
options=("${@:3}")
# shellcheck source=cluster/slurm/attempt.sh
source "$TWINSCREEN_HOME/cluster/slurm/attempt.sh"
