#!/bin/sh
# Makes sure that a browser is there for the tests of the UI: an installed one (CHROMIUM=… names it), else Debian's
# package, else the one that playwright downloads.
set -eu
cd "$(dirname "$0")/.."

for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null; then
        exit 0
    fi
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "Installing Chromium for the tests of the UI (once)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends chromium >/dev/null && exit 0
fi
.venv/bin/python -m playwright install chromium || {
    cat >&2 <<'EOF'
error: no Chromium for the tests of the UI, and none could be downloaded.
What to do: install the package chromium, or name a browser: make test CHROMIUM=/path/to/chrome
EOF
    exit 1
}
