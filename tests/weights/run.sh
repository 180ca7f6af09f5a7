#!/usr/bin/env bash
# Weights both ways between gradus and PyTorch, in the real files of the real libraries:  run.sh WEIGHTS_PROGRAM
# Needs a Python with torch and safetensors: $GRADUS_PYTHON or python3. Without them it says so and exits with 77.
set -euo pipefail

python=${GRADUS_PYTHON:-python3}
here=$(dirname "$0")
if ! "$python" -c "import safetensors.torch, torch" 2>/dev/null; then
    echo "skipped: $python lacks torch or safetensors; GRADUS_PYTHON may name one that has them"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" "$here/weights.py" make "$folder"
GRADUS_WEIGHTS=$folder "$1"
"$python" "$here/weights.py" check "$folder"
