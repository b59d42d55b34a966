# shellcheck shell=bash
# One attempt of a batch job, sourced (or written by `twinscreen submit`) at the end of a job script. It starts the
# engine on all tasks of the job, passes the warning before the time limit on to it, and has SLURM run the job once
# more if and only if the engine stopped in order (exit code 75).
#
#   program      the executable, a path that all nodes see
#   campaign     the campaign file
#   out          folder of the store
#   options      array of further words for `run` (--set key=value), may be empty
#   launcher     mpirun, srun or auto: mpirun where there is one
#   idle_limit   attempts without progress, one after another, that are the last; default 3

: "${program:?}" "${campaign:?}" "${out:?}" "${SLURM_JOB_ID:?this is a job script: sbatch starts it}"
launcher=${launcher:-auto} idle_limit=${idle_limit:-3}
# One task of an array may bear the number of the whole array, which must not be run again with it.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}
attempt=${SLURM_RESTART_COUNT:-0}
# One rank drives one GPU. Nothing is written yet: this goes to the job's own output.
ranks_here=${SLURM_TASKS_PER_NODE%%[(,]*}
if [[ ${SLURM_GPUS_ON_NODE:-} ]] && ((ranks_here > SLURM_GPUS_ON_NODE)); then
    printf 'error: %s ranks for %s GPUs on %s: ask SLURM for as many of one as of the other\n' \
        "$ranks_here" "$SLURM_GPUS_ON_NODE" "${SLURMD_NODENAME:-$HOSTNAME}"
    exit 2
fi
notes=$out/slurm
mkdir -p -- "$notes" || exit 4
log=$notes/job-$job-attempt-$attempt.log
exec > "$log" 2>&1 < /dev/null

say() { printf '%(%F %T)T job %s, attempt %s: %s\n' -1 "$job" "$attempt" "$*"; }

set_launch_words()
{
    if [[ $launcher == auto ]]; then
        launcher=srun
        command -v mpirun > /dev/null && launcher=mpirun
    fi
    case $launcher in
        mpirun)
            launch=(mpirun -n "$SLURM_NTASKS")
            ((EUID != 0)) || launch+=(--allow-run-as-root) # in tests and containers
            ;;
        srun) launch=(srun --kill-on-bad-exit=1) ;;
        *) say "launcher is '$launcher', expected mpirun, srun or auto" && exit 2 ;;
    esac
}

# The warning comes to this shell alone (--signal=B:USR1@...). SIGTERM would make mpirun kill its ranks: never that.
pass_warning_on()
{
    say "warned: the time is nearly over; the engine finishes what it is writing"
    interrupted=1
    [[ -z $engine ]] || kill -USR1 "$engine"
}

# Sets `status`. A trap interrupts `wait`, which then knows nothing of the engine.
wait_for_engine()
{
    local code
    status=0 interrupted=1
    while [[ $interrupted ]]; do
        interrupted=
        wait "$engine"
        code=$?
        ((code == 127)) || status=$code
    done
}

sealed_shards() { grep -c '"event":"sealed"' "$out/telemetry.jsonl" 2> /dev/null || true; }

# Shards were finished, or long ones went on.
made_progress()
{
    (($(sealed_shards) > sealed_before)) && return 0
    [[ -n $(find "$out/scratch" -type f -newer "$started" -print -quit 2> /dev/null) ]]
}

# Sets `idle`: attempts of this job without progress until now.
count_idle_attempts()
{
    local count=$notes/job-$job.idle
    idle=0
    if ! made_progress; then
        [[ ! -f $count ]] || idle=$(< "$count")
        idle=$((idle + 1))
    fi
    printf '%s\n' "$idle" > "$count"
}

is_running() { [[ $(squeue --noheader --jobs="$job" --format=%T 2> /dev/null) == RUNNING ]]; }

ask_for_another_attempt()
{
    count_idle_attempts
    if ! is_running; then
        say "stopped in order; the job was cancelled or taken back by SLURM, so it does not ask to be run again"
    elif ((idle >= idle_limit)); then
        say "no progress in $idle attempts: not asking for another; \`sbatch\` the same script goes on"
    elif scontrol requeue "$job"; then
        say "stopped in order; SLURM runs the job again"
    else
        say "stopped in order, but SLURM does not run the job again; \`sbatch\` the same script goes on"
    fi
}

silent_nodes()
{
    local node
    for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
        timeout 30 srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" true > /dev/null 2>&1 || printf ' %s' "$node"
    done
}

# A lost node ends the engine at once, but SLURM sees it only later and then runs the job again by itself
# (--requeue): ending before that would make it a failed job.
wait_for_slurm_if_a_node_is_lost()
{
    local silent
    silent=$(silent_nodes)
    [[ -n $silent ]] || return 0
    say "no answer from$silent: waiting up to 15 minutes for SLURM to take the job back"
    sleep 900 &
    wait $!
}

# By default Open MPI's daemons ask after a silent host for the first time after five minutes: long after the ranks
# have ended.
export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-5}
export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-2}
export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-3}

set_launch_words
engine=
trap pass_warning_on USR1
started=$notes/job-$job.started
: > "$started"
sealed_before=$(sealed_shards)
say "$SLURM_NTASKS ranks on ${SLURM_JOB_NODELIST:-?} through ${launch[*]}"
"${launch[@]}" "$program" run "$campaign" --out "$out" "${options[@]}" &
engine=$!
wait_for_engine
say "the engine ended with exit code $status"
case $status in
    75) ask_for_another_attempt ;;
    0 | 2 | 3 | 4 | 5 | 70) ;; # done, or a reason that the next attempt would meet again
    *) wait_for_slurm_if_a_node_is_lost ;;
esac
exit "$status"
