#!/usr/bin/env bash
# One command from a fresh clone to a report. Can be run again: what is done is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'TEXT'
usage: ./run_all.sh [setup|test [quick]|help]

  (nothing)  set up, get the pre-trained weights, run experiment=quickstart, write report/index.html
  setup      make .venv and install the project under constraints.txt
  test       set up, then ruff, mypy, lint-imports and pytest
  test quick the same with the fast tests alone, which start neither ranks nor boards: under three minutes

A system MPI, torch or mpi4py that is already there is kept. PYTHON=... chooses the interpreter.
TEXT
}

# An environment that happens to be active is not this machine's: what it has goes away with it.
if [ -n "${VIRTUAL_ENV:-}" ]; then PATH=${PATH//"$VIRTUAL_ENV/bin:"/}; fi
PYTHON=${PYTHON:-python3}
VENV=.venv

has() { "$PYTHON" -c "import $1" 2>/dev/null; }

setup() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
        echo "error: $PYTHON is older than Python 3.10; set PYTHON=python3.11 or newer" >&2
        exit 2
    }
    local stamp="$VENV/.edgejoule-$(cat pyproject.toml constraints.txt run_all.sh | sha256sum | cut -c1-16)"
    [ -e "$stamp" ] && return
    local limits extras=test site=()
    limits=$(mktemp)
    cp constraints.txt "$limits"
    # A board's own builds are kept: the environment sees them, and no pin replaces them.
    for package in torch mpi4py; do
        if has "$package"; then
            site=(--system-site-packages)
            sed -i "/^$package==/d" "$limits"
        fi
    done
    command -v mpirun >/dev/null || command -v mpiexec >/dev/null || extras=test,mpi
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv ${site[@]+"${site[@]}"} "$VENV"
    if grep -q '^torch==' "$limits" && [ "$(uname -m)" = x86_64 ]; then
        # First and by itself: a CPU wheel at hand wins over a build with gigabytes of GPU libraries.
        "$VENV/bin/pip" install -q --disable-pip-version-check "$(grep '^torch==' "$limits")"
    fi
    "$VENV/bin/pip" install -q --disable-pip-version-check -c "$limits" -e ".[$extras]"
    rm -f "$limits" "$VENV"/.edgejoule-*
    touch "$stamp"
}

allow_root() {
    # Containers run as root, which Open MPI refuses unless it is told twice.
    if [ "$(id -u)" = 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
}

case "${1:-}" in
    "")
        setup
        allow_root
        "$VENV/bin/python" -m bench.fetch
        status=0
        "$VENV/bin/python" -m bench experiment=quickstart || status=$?
        if [ "$status" -gt 1 ]; then exit "$status"; fi
        # A point that failed is named in the report, and in the exit code.
        "$VENV/bin/python" -m analysis report results/quickstart --out report
        exit "$status"
        ;;
    setup) setup ;;
    test)
        selection=()
        case "${2:-}" in
            "") ;;
            quick) selection=(-m "not machine and not slow") ;;
            *) usage >&2; exit 2 ;;
        esac
        setup
        allow_root
        "$VENV/bin/ruff" check .
        "$VENV/bin/ruff" format --check .
        "$VENV/bin/mypy"
        "$VENV/bin/lint-imports"
        "$VENV/bin/python" -m bench.fetch
        # Two at a time, of which at most one has the machine (the marker in tests/conftest.py).
        "$VENV/bin/python" -m pytest -n 2 ${selection[@]+"${selection[@]}"}
        ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
