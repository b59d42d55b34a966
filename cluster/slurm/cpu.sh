#!/usr/bin/env bash
# A campaign on the cores of some nodes. `twinscreen submit` writes such a script from a campaign's plan; by hand,
# copy this one, change what is marked, and:
#   sbatch --export=ALL,TWINSCREEN_HOME=$PWD cluster/slurm/cpu.sh my_campaign.toml results/my_campaign
#SBATCH --job-name=twinscreen
#SBATCH --nodes=4                # change: nodes, ranks per node (cores / threads_per_rank), memory, time
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180      # a warning to the script, three minutes before the limit
#SBATCH --requeue                # and when a node is lost
#SBATCH --open-mode=append
#SBATCH --output=twinscreen-%j.log

: "${TWINSCREEN_HOME:?the clone, as an absolute path}"
program=${TWINSCREEN_PROGRAM:-$TWINSCREEN_HOME/build/release/twinscreen}
campaign=${1:?the campaign file}
out=${2:?the folder of the store}
options=("${@:3}")
# shellcheck source=cluster/slurm/attempt.sh
source "$TWINSCREEN_HOME/cluster/slurm/attempt.sh"
