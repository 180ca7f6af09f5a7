#!/usr/bin/env bash
# Fuzzes one target for a while:  run.sh PROGRAM WORK_FOLDER SEED...
# GRADUS_FUZZ_SECONDS says how long (10). A failure leaves its input in the work folder.
set -euo pipefail
program=$1 work=$2
shift 2
mkdir -p "$work/seeds"
cp -r "$@" "$work/seeds"
cd "$work"
"$program" -max_total_time="${GRADUS_FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$work/" seeds
