#!/usr/bin/env bash
# The profiler of the orders sync at the command line: the flags of `python -m include.cli orders profiler --help`.
# Exit status: 0 success, 2 partial, 1 failed. PYTHON=… chooses another Python than the project's own.
set -euo pipefail
repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-$repo/.venv/bin/python}"
test -x "$python" || python="$(command -v "$python" || command -v python3)"
cd "$repo"
exec "$python" -m include.cli orders profiler "$@"
