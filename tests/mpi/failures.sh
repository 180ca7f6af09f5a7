#!/usr/bin/env bash
# What happens when a process of failures.cpp dies, throws, hangs or differs:
#   failures.sh kill|failures PROGRAM MPIRUN [kills] [seed]
# kill: one of four processes is killed (SIGKILL) at a random moment; the others must say which one and when, and end
# when the deadline is over; two processes go on from the last checkpoint, and must end at the weights of a run
# that nothing happened to. Leaves with 77 if this MPI cannot start processes here.
set -uo pipefail
what=$1 program=$2 mpirun=$3 kills=${4:-3} seed=${5:-1}
launch=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../examples/support" && pwd)/launch.sh
export MPIRUN=$mpirun
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
RANDOM=$seed
deadline=2
bash "$launch" 2 true >/dev/null 2>&1 || { echo "skipped: $mpirun starts no processes here"; exit 77; }

on() { timeout 60 bash "$launch" "$@"; }
fail() {
    echo "$1"
    cat "$folder/out" "$folder/err" 2>/dev/null
    exit 1
}

if [[ $what == kill ]]; then
    mkdir "$folder/whole"
    whole=$(on 4 "$program" "$folder/whole" 2>"$folder/err" | grep weights) || fail "the whole run failed"
    for ((i = 1; i <= kills; ++i)); do
        rank=$((RANDOM % 4)) step=$((RANDOM % 65)) moment=0.0$((RANDOM % 40 + 10))
        run=$folder/$i
        mkdir "$run"
        mkfifo "$run/pipe"
        on 4 "$program" "$run" kill $rank $step >"$folder/out" 2>"$folder/err" &
        launcher=$!
        read -r -t 50 pid <"$run/pipe" || fail "rank $rank did not come to step $step"
        sleep $moment
        kill -KILL "$pid" || fail "rank $rank was gone before it was killed"
        begin=$(date +%s%N)
        wait $launcher
        status=$?
        milliseconds=$((($(date +%s%N) - begin) / 1000000))
        last=$(tail -n 1 "$run/at")
        [[ $status == 3 ]] || fail "kill $i: exit status 3 expected: got $status"
        # It may have died when it had done its part of the step already.
        text="error: [a-z_]+: rank $rank of 4 did not arrive within $deadline s at step ($last|$((last + 1)))"
        for ((other = 0; other < 4; ++other)); do
            if ((other == rank)); then
                grep -qx "==> rank $other of 4: killed by signal 9" "$folder/err" || fail "kill $i: $rank was not killed"
                continue
            fi
            grep -qEx "rank $other: $text" "$folder/out" || fail "kill $i: rank $other: expected: $text"
            grep -qx "==> rank $other of 4: exit status 3" "$folder/err" || fail "kill $i: rank $other: exit status"
        done
        [[ $(grep -oE "at step [0-9]+" "$folder/out" | sort -u | wc -l) == 1 ]] || fail "kill $i: one step expected"
        ((milliseconds < 1000 * deadline + 1500)) || fail "kill $i: the others took $milliseconds ms"
        rm "$run/pipe"
        resumed=$(on 2 "$program" "$run" 2>"$folder/err") || fail "kill $i: does not go on: $resumed"
        [[ $(grep weights <<<"$resumed") == "$whole" ]] || fail "kill $i: expected $whole: got $resumed"
        echo "rank $rank killed in step $last: the others ended after $milliseconds ms; on two processes" \
            "$(head -1 <<<"$resumed"), $whole"
    done
    exit 0
fi

failed=0
# what, rank, step, exit status, and what each of the four processes says (a regular expression)
says() {
    local fault=$1 rank=$2 step=$3 status=$4 got
    local run=$folder/$fault
    mkdir "$run"
    [[ $step == - ]] && run=differ
    got=$(on 4 "$program" "$run" "$fault" "$rank" "$step" 2>"$folder/err")
    local code=$? other
    shift 4
    [[ $code == "$status" ]] || { echo "$fault: exit status $status expected: got $code: $got"; failed=1; cat "$folder/err"; }
    for ((other = 0; other < 4; ++other, $# > 1)); do
        [[ $1 == - ]] || grep -qEx "rank $other: error: $1" <<<"$got" || {
            printf '%s\n' "$fault: expected from rank $other: $1" "got: $got"
            failed=1
        }
        (($# > 1)) && shift
    done
}
stopped="photos/7.png: is damaged"
says throw 2 7 3 "rank 2 of 4 stopped: $stopped" "rank 2 of 4 stopped: $stopped" "$stopped" "rank 2 of 4 stopped: $stopped"
says loader 0 4 3 "crop: 33 is too large" "rank 0 of 4 stopped: crop: 33 is too large"
missed="[a-z_]+: rank 1 of 4 did not arrive within 2 s at step 5"
says exit 1 5 3 "$missed" - "$missed" "$missed"
missed="[a-z_]+: rank 3 of 4 did not arrive within 2 s at step 6"
says hang 3 6 3 "$missed"
missed="reduce_gradients: rank 1 of 4 ended before it at step 8: does every process make as many steps[?]"
says return 1 8 3 "$missed" - "$missed" "$missed"
says slow 2 3 0 -
says flip 3 6 3 "shards: the weights of rank [0-2] and rank 3 differ before step 10: .*"
says batches 3 0 3 "shards: batches in an epoch: must be the same in all processes: got 52 on rank [0-2] and 38 on rank 3 at step 0"
says model 2 - 3 "broadcast: weight: must be the same in all processes: got F32 \[3, 4\] on rank 0 and F32 \[5, 4\] on rank 2"
says bias 1 - 3 "broadcast: bias: must be the same in all processes: got F32 \[3\] on rank 0 and nothing on rank 1"
says setting 3 - 3 "check_same: learning rate: must be the same in all processes: got 0.1 on rank 0 and 0.2 on rank 3"
exit $failed
