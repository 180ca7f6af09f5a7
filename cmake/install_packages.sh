#!/usr/bin/env bash
# Installs those of the named Debian or Ubuntu packages that are missing:  install_packages.sh g++ cmake
set -euo pipefail

if ! command -v dpkg-query >/dev/null; then
    echo "==> this is no Debian or Ubuntu system; make sure that you have: $*"
    exit 0
fi

missing=()
for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
    [[ $state == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

echo "==> installing: ${missing[*]}"
as_root=()
if ((EUID != 0)); then
    as_root=(sudo)
    command -v sudo >/dev/null || as_root=(false)
fi
apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >/dev/null
}
# A failed update is no failure yet: the lists at hand may be good enough.
if ! { apt_get update || true; apt_get install -y --no-install-recommends "${missing[@]}"; }; then
    echo "==> could not install: ${missing[*]}" >&2
    echo "    Without network or the rights of root? Install them yourself and start again:" >&2
    echo "    apt-get install ${missing[*]}" >&2
    exit 1
fi
