#!/bin/sh
# Creates .venv with the first usable Python (PYTHON=… chooses one); then `install` installs the locked packages into it,
# `lock [uv's options]` rewrites the lock. uv does the work with pip's index, links and certificate; where it can't
# install, pip does.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
WANTED="Python 3.11, 3.12 or 3.13"

# Prints why $1 can't make the environment; nothing when it can.
problem_of() {
    version=$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || {
        echo "not found, or it does not start"
        return
    }
    case $version in
    3.11.* | 3.12.* | 3.13.*) ;;
    *)
        echo "it is Python $version"
        return
        ;;
    esac
    "$1" -c 'import venv, ensurepip' 2>/dev/null ||
        echo "it has no module venv or ensurepip (on Debian and Ubuntu: apt-get install python${version%.*}-venv)"
}

find_python() {
    problems=""
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        problem=$(problem_of "$candidate")
        if [ -z "$problem" ]; then
            echo "$candidate"
            return
        fi
        problems="$problems
  $candidate: $problem"
    done
    cat >&2 <<EOF
error: no usable Python. This project needs $WANTED with the module venv. Tried:$problems
What to do: install one of them, or name it: make PYTHON=/path/to/python3.12
EOF
    return 1
}

# The value of one pip setting, from PIP_… variables or pip's configuration files; several are separated by spaces.
pip_setting() {
    "$VENV/bin/python" -m pip config list 2>/dev/null |
        sed -n "s/^[a-z:]*\.$1='\(.*\)'\$/\1/p" | head -n 1 | sed 's/\\n/ /g; s/^ *//'
}

# Exports $2 from pip's setting $1, unless it is set already.
pass_on() {
    eval "present=\${$2:-}"
    value=$(pip_setting "$1")
    [ "$1" != find-links ] || value=$(echo "$value" | tr -s ' ' ',')
    if [ -z "$present" ] && [ -n "$value" ]; then
        export "$2=$value"
    fi
}

# Runs uv, which reads none of pip's settings by itself.
run_uv() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt uv || return 1
    (
        pass_on index-url UV_DEFAULT_INDEX
        pass_on extra-index-url UV_INDEX
        pass_on trusted-host UV_INSECURE_HOST
        pass_on no-index UV_NO_INDEX
        pass_on cert SSL_CERT_FILE
        pass_on find-links UV_FIND_LINKS
        "$VENV/bin/uv" pip "$@"
    )
}

install_with_uv() {
    run_uv install --quiet --compile-bytecode --python "$VENV/bin/python" -c constraints.txt -r requirements-dev.txt
}

install_with_pip() {
    "$VENV/bin/python" -m pip install --disable-pip-version-check -c constraints.txt -r requirements-dev.txt
}

make_environment() {
    if [ ! -x "$VENV/bin/python" ] || [ -n "$(problem_of "$VENV/bin/python")" ]; then
        python=$(find_python)
        echo "Creating $VENV with $("$python" --version)"
        "$python" -m venv --clear "$VENV"
    elif [ -n "${PYTHON:-}" ]; then
        have=$("$VENV/bin/python" -c 'import sys; print(sys.version_info[:2])')
        want=$("$PYTHON" -c 'import sys; print(sys.version_info[:2])') || want="no Python"
        [ "$have" = "$want" ] || {
            echo "error: $VENV is not of $PYTHON. What to do: run \`make clean\`, then the same command again." >&2
            exit 1
        }
    fi
}

case $1 in
install)
    make_environment
    echo "Installing the locked packages into $VENV (once per change of the lock)"
    install_with_uv || {
        echo "uv could not install them; trying again with pip, which takes a few minutes" >&2
        install_with_pip
    }
    ;;
lock)
    shift
    make_environment
    run_uv compile --quiet --universal --python-version 3.11 --no-annotate --no-header "$@" \
        requirements-dev.txt compose/requirements.txt -o constraints.txt
    ;;
esac
