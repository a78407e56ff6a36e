#!/usr/bin/env bash
# Set up everything that `make demo` and `make test` need: Debian packages, a virtual environment in .venv, and this project in it.
# A second call finds the stamp and returns at once.
set -eu
cd "$(dirname "$0")/.."

packages=(
    gcc g++ make cmake python3-venv
    gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm
    gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc
    dataset-fashion-mnist
)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=absent
    [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "setup: these Debian packages, or their like, are missing: ${missing[*]}" >&2
        exit 4
    elif [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root="sudo"
    else
        echo "setup: Debian packages are missing and need an administrator to install. Run this line, then again:" >&2
        echo "    sudo apt-get update && sudo $install" >&2
        exit 4
    fi
    echo "setup: installing Debian packages: ${missing[*]}"
    $as_root apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive $as_root $install >/dev/null
fi

# The virtual environment is made anew when the interpreter, the requirements or the packaging changed.
stamp=.venv/setup.stamp
wanted=$(python3 --version; sha256sum pyproject.toml constraints.txt tools/setup.sh; pwd)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi
echo "setup: installing the Python environment into .venv"
[ -x .venv/bin/python ] && .venv/bin/python -c pass 2>/dev/null || { rm -rf .venv; python3 -m venv .venv; }
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
echo "$wanted" >"$stamp"
