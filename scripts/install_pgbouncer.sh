#!/bin/sh
# Makes sure that PgBouncer is there for tests/faults/test_pooler.py: an installed one, else Debian's package. Where it can't
# be had nothing is refused here; those tests fail and say so.
set -eu

PATH="$PATH:/usr/sbin"
if command -v pgbouncer >/dev/null; then
    exit 0
fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "Installing PgBouncer for the tests of poolers (once)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends pgbouncer >/dev/null && exit 0
fi
cat >&2 <<'EOF'
warning: no pgbouncer, and no way to install it: tests/faults/test_pooler.py will fail.
What to do: install the package pgbouncer.
EOF
