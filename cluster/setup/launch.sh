# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# mpirun on this one machine: as root or not, in containers, with fewer cores than ranks.

# default_to NAME VALUE: exports it unless the caller has set it.
default_to() { export "$1=${!1:-$2}"; }

mpi_environment()
{
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    # Harmless here but noisy: absent network hardware, process_vm_readv forbidden in containers,
    # odd topologies of virtual machines.
    default_to OMPI_MCA_btl_base_warn_component_unused 0
    default_to OMPI_MCA_mca_base_component_show_load_errors 0
    default_to OMPI_MCA_btl_vader_single_copy_mechanism none
    default_to OMPI_MCA_hwloc_base_mem_bind_failure_action silent
    default_to HWLOC_HIDE_ERRORS 1
}

# Sets mpirun to the launcher with the placement of this many ranks: equal shares of the cores, or
# no binding when the cores do not suffice or when only some of the machine is ours.
mpirun_command()
{
    local ranks=$1 cores
    cores=$(usable_cores)
    mpirun=(mpirun -n "$ranks")
    if ((ranks <= cores && $(nproc) == $(nproc --all))); then
        mpirun+=(--map-by "slot:PE=$((cores / ranks))" --bind-to core)
    else
        mpirun+=(--oversubscribe --bind-to none)
    fi
}

# The mpirun that a user types here: as root (containers), Open MPI wants to be told.
mpirun_for_users()
{
    if ((EUID == 0)); then
        echo "mpirun --allow-run-as-root --mca btl_vader_single_copy_mechanism none"
    else
        echo mpirun
    fi
}

# run_stoppable COMMAND...: Ctrl-C and SIGTERM become SIGUSR1, on which twinscreen stops cleanly and
# exits with 75 (mpirun itself would kill its ranks). A second one is passed on as SIGTERM. If this
# script is killed outright, mpirun gets SIGUSR1 too and does not live on unseen. Sets was_stopped.
run_stoppable()
{
    local tie=() process status stop_signal=USR1
    was_stopped=
    if command -v setsid > /dev/null; then tie+=(setsid); fi
    if setpriv --pdeathsig USR1 true 2> /dev/null; then tie+=(setpriv --pdeathsig USR1); fi
    mpi_environment
    # shellcheck disable=SC2317,SC2329 # called by the trap
    pass_on()
    {
        if [[ -z $was_stopped ]]; then say "stopping; once more ends it at once"; fi
        was_stopped=1
        kill -s "$stop_signal" "$process" 2> /dev/null || true
        stop_signal=TERM
    }
    "${tie[@]}" "$@" < /dev/null &
    process=$!
    trap pass_on INT TERM HUP
    # A signal interrupts wait; the status counts once the process is gone.
    while kill -0 "$process" 2> /dev/null; do
        wait "$process" || true
    done
    status=0
    wait "$process" || status=$?
    trap - INT TERM HUP
    return "$status"
}
