"""Makes a picture of what a command printed on a terminal, colours included.

FORCE_COLOR=1 pipelines status | python scripts/terminal_picture.py "pipelines status" > docs/pictures/status.svg
"""

from __future__ import annotations

import io
import re
import sys

from rich.console import Console
from rich.text import Text


def main() -> None:
    """Read what was printed from standard input, and write SVG to standard output."""
    printed = Text.from_ansi(sys.stdin.read())
    width = max((len(line) for line in printed.plain.splitlines()), default=80)
    console = Console(record=True, width=width + 1, file=io.StringIO())
    console.print(printed)
    svg = console.export_svg(title=sys.argv[1])
    print(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL))  # fonts from elsewhere: the reader's own will do


if __name__ == "__main__":
    main()
