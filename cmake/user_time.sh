#!/usr/bin/env bash
# Runs a compiler, and writes the user seconds it took beside its output:  user_time.sh g++ ... -o x.o ...
export LC_ALL=C TIMEFORMAT=%U
for ((i = 1; i < $#; i++)); do
    if [[ ${!i} == -o ]]; then next=$((i + 1)) output=${!next}; fi
done
{ time "$@" 2>&3; } 3>&2 2>"$output.seconds"
