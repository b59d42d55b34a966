#!/usr/bin/env bash
# Many campaigns, a job for each, so many at once as the partition has room for:
#   sbatch --array=1-$(wc -l < campaigns.txt) --export=ALL,TWINSCREEN_HOME=$PWD cluster/slurm/array.sh campaigns.txt
# campaigns.txt names a campaign file a line; each has its store in results/NAME. Every campaign goes on, and is run
# again, by itself.
#SBATCH --job-name=twinscreen
#SBATCH --nodes=1                # change: of each campaign
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=twinscreen-%A_%a.log

: "${TWINSCREEN_HOME:?the clone, as an absolute path}"
program=${TWINSCREEN_PROGRAM:-$TWINSCREEN_HOME/build/release/twinscreen}
campaign=$(sed -n "${SLURM_ARRAY_TASK_ID:?start it with --array}p" "${1:?the list of campaign files}")
out=${2:-results}/$(basename "${campaign%.toml}")
options=()
# shellcheck source=cluster/slurm/attempt.sh
source "$TWINSCREEN_HOME/cluster/slurm/attempt.sh"
