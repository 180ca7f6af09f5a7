#!/usr/bin/env bash
# Runs a program in several processes of this machine:  launch.sh 4 PROGRAM [its options]
# With $MPIRUN if that is set, else with the first mpirun there is: Open MPI's or MPICH's.
#
# mpirun by itself ends all processes as soon as one dies, before they can say which one is missing and at which
# step. Here they live on, until they find out or are ready. A process that fails is named at the end, and its exit
# status is that of this script: of several the smallest, since they end as soon as they miss one that was killed.
set -uo pipefail

if [[ ${1-} == --process ]]; then # what mpirun starts
    statuses=$2
    shift 2
    trap 'kill -TERM $child' TERM INT
    trap '' USR1 # with which MPICH tells processes that one died
    "$@" <&0 &
    child=$!
    wait $child
    status=$?
    while ((status > 128)) && kill -0 $child 2>/dev/null; do # a signal came to this script
        wait $child
        status=$?
    done
    rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
    ((status == 0)) || echo $status >"$statuses/$rank"
    exit $status
fi

if [[ ! ${1-} =~ ^[1-9][0-9]*$ || $# -lt 2 ]]; then
    echo "usage: launch.sh PROCESSES PROGRAM [options]" >&2
    exit 2
fi
processes=$1
shift
mpirun=${MPIRUN:-mpirun}
if ! version=$("$mpirun" --version 2>&1); then
    echo "==> $mpirun does not run (Debian: apt install openmpi-bin libopenmpi-dev)" >&2
    exit 127
fi
alive=()
case $version in
*"Open MPI"* | *OpenRTE*)
    export OMPI_MCA_orte_enable_recovery=1 OMPI_MCA_orte_abort_on_non_zero_status=0
    export OMPI_MCA_rmaps_base_oversubscribe=1 # more processes than processors
    export OMPI_MCA_hwloc_base_binding_policy=none
    export OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_btl_vader_single_copy_mechanism=none # see UCX_TLS below
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    ;;
*HYDRA* | *Hydra*)
    alive=(-disable-auto-cleanup)
    # UCX ends a process that reads from the memory of one that was killed.
    export UCX_TLS=${UCX_TLS:-posix,sysv,self}
    ;;
esac
statuses=$(mktemp -d)
trap 'rm -rf "$statuses"' EXIT
"$mpirun" ${alive[@]+"${alive[@]}"} -n "$processes" bash "${BASH_SOURCE[0]}" --process "$statuses" "$@" </dev/null
result=$?
worst=
for ((rank = 0; rank < processes; ++rank)); do
    [[ -f $statuses/$rank ]] || continue
    status=$(<"$statuses/$rank")
    how="exit status $status"
    ((status <= 128)) || how="killed by signal $((status - 128))"
    echo "==> rank $rank of $processes: $how" >&2
    [[ $worst ]] && ((worst <= status)) || worst=$status
done
exit "${worst:-$result}"
