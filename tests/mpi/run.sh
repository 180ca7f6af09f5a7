#!/usr/bin/env bash
# Runs train.cpp on 1, 2, 4 and 8 processes:  run.sh bits|fit|refusals PROGRAM MPIRUN [options of it]
# Leaves with 77 if this MPI cannot start processes here.
set -uo pipefail
what=$1 program=$2
shift 2
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
on() { # processes, arguments of the program
    local processes=$1
    shift
    timeout 120 "${mpirun[@]}" -n "$processes" "$program" "$@"
}
mpirun=("$@")
"${mpirun[@]}" -n 2 true >/dev/null 2>&1 || { echo "skipped: $1 starts no processes here"; exit 77; }

if [[ $what == bits ]]; then
    expected=
    for processes in 1 2 4 8; do
        for threads in 1 2; do
            got=$(on "$processes" bits $threads) || { echo "$processes processes, $threads threads: failed: $got"; exit 1; }
            [[ $expected ]] || expected=$got
            # More processes than shards leave a case out; what is there must be there alike.
            if unlike=$(grep -vxFf <(printf '%s\n' "$expected") <<<"$got"); then
                printf '%s\n' "$processes processes, $threads threads: got" "$unlike" "and on one process, one thread" "$expected"
                exit 1
            fi
            lines=$(wc -l <<<"$got")
            echo "$processes processes, $threads threads: $lines models as on one"
            [[ $lines -ge 9 ]] || exit 1
        done
    done
    [[ $(grep -o 'S=8 weights.*' <<<"$expected" | sort -u | wc -l) == 3 ]] || { echo "buckets change bits: $expected"; exit 1; }
    exit 0
fi

if [[ $what == fit ]]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    whole=$(on 1 fit 1 | grep fit:) || exit 1
    same() { # what, its last line
        [[ $2 == "$whole" ]] || { printf '%s\n' "$1: got $2" "expected $whole"; exit 1; }
        echo "$1: the same weights and history"
    }
    for processes in 2 4 8; do
        table=$(on $processes fit 1)
        same "fit on $processes processes" "$(grep fit: <<<"$table")"
        [[ $(grep -c Epoch <<<"$table") == 4 ]] || { echo "one process prints the table: got $table"; exit 1; }
    done
    for change in "4 2" "1 8" "2 1"; do
        read -r from to <<<"$change"
        on "$from" fit 1 "$folder/$from.safetensors" 17 >/dev/null || { echo "stopping on $from failed"; exit 1; }
        same "stopped on $from, resumed on $to" "$(on "$to" fit 2 "$folder/$from.safetensors" | grep fit:)"
    done
    exit 0
fi

failed=0
refused() { # mode, what each of the four processes says
    local got
    got=$(on 4 "$1" 1 2>&1)
    if [[ $? == 0 || $(grep -cE "$2" <<<"$got") != 4 ]]; then  # each says it
        printf '%s\n' "$1: expected: $2" "got: $got"
        failed=1
    fi
}
refused shards '^error: .*shards: shards: must be the same in all processes: got 8 on rank 0 and 16 on rank 3$'
refused batches '^error: .*shards: batches in an epoch: must be the same in all processes: got 25 on rank [0-2] and 13 on rank 3 at step 0$'
refused draws '^error: .*shards: draws from the default generator: must be the same in all processes: got [0-9]+ on rank [0-2] and [0-9]+ on rank 3 at step 1$'
refused weights '^error: .*shards: the weights of rank [0-2] and rank 3 differ before step 1: does a process change them on its own[?]$'
refused throws '^error: (rank 3 of 4 stopped: )?photos.7.png: is damaged$'
exit $failed
