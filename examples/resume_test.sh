#!/usr/bin/env bash
# resume_test.sh PROGRAM [FLAGS]: an example that is ended in its middle by Ctrl-C, by SIGTERM and by a kill, and resumed
# each time, prints the same table and leaves the same history and weights as one that is left alone. But for seconds.
set -euo pipefail

program=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "$*" >&2
    exit 1
}

flags=("$@" --progress plain --checkpoint-every 5)
"$program" "${flags[@]}" --out "$folder/whole" >"$folder/whole.txt"

# Starts it, and ends it when there is a checkpoint that it did not begin with.
interrupt() { # SIGNAL EXPECTED_CODE COMMAND
    local signal=$1 expected=$2 code=0 before
    shift 2
    before=$(stat -c %i "$folder/parts/last.safetensors" 2>/dev/null || true)
    env --default-signal=INT "$@" >"$folder/part.txt" 2>"$folder/error.txt" & # bash has those in the background ignore it
    local pid=$!
    for ((i = 0; i < 6000; ++i)); do
        kill -0 $pid 2>/dev/null || break
        [[ $(stat -c %i "$folder/parts/last.safetensors" 2>/dev/null || true) == "$before" ]] || break
        sleep 0.01
    done
    kill -"$signal" $pid 2>/dev/null || true
    wait $pid || code=$?
    [[ $code == "$expected" ]] || fail "after $signal it ended with $code, not $expected: $(cat "$folder/error.txt")"
}

interrupt INT 130 "$program" "${flags[@]}" --out "$folder/parts"
[[ $(cat "$folder/error.txt") == "to go on: $program ${flags[*]} --out $folder/parts --resume" ]] ||
    fail "it did not say how to go on, but: $(cat "$folder/error.txt")"
resume=("$program" "${flags[@]}" --out "$folder/parts" --resume)
interrupt TERM 143 "${resume[@]}"
interrupt KILL 137 "${resume[@]}"
"${resume[@]}" >"$folder/parts.txt"

# What is printed, without the seconds.
printed() { sed -E 's/Epoch Time: +[0-9.]+ \|/|/' "$1"; }
diff <(printed "$folder/whole.txt") <(printed "$folder/parts.txt") || fail "the tables differ"
diff <(cut -d, -f1-5,7- "$folder/whole/history.csv") <(cut -d, -f1-5,7- "$folder/parts/history.csv") ||
    fail "the histories differ"
[[ -s $folder/parts/report.html ]] || fail "there is no report"

# The last checkpoint: all but the history, which has the seconds.
command -v python3 >/dev/null || {
    echo "skipped: the weights are compared by python3, which is missing"
    exit 0
}
python3 - "$folder/whole/last.safetensors" "$folder/parts/last.safetensors" <<'END'
import json, sys

def tensors(path):
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: data[start + t["data_offsets"][0]:start + t["data_offsets"][1]] for name, t in header.items()
            if "history" not in name and "seconds" not in name}

whole, parts = map(tensors, sys.argv[1:])
assert whole.keys() == parts.keys(), whole.keys() ^ parts.keys()
differ = [name for name in whole if whole[name] != parts[name]]
assert not differ, f"these differ: {differ}"
assert any(name.startswith("model") for name in whole), whole.keys()
END
