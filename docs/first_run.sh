#!/usr/bin/env bash
# Writes docs/first-run.svg, the picture in README.md, from what examples/run.sh prints:  docs/first_run.sh [program]
#
# With a program (the example fashion_mnist that was built already), that one is run instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=$("${1:-examples/run.sh}")
output=${output#*==> running fashion_mnist }  # not what its build prints
printf '$ examples/run.sh\n%s\n' "${output#$'\n'}" | awk -f cmake/terminal_svg.awk >docs/first-run.svg
