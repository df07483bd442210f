"""Check every server that is installed, print the table, and put it into README.rst between its two marks."""
from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from blockingio.check.command import target_of
from blockingio.check.questions import AREAS, MUST, SHOULD
from blockingio.check.report import Row, checked, summary
from blockingio.check.verdict import baseline_of
from tests.check_peers.peer import SERVERS

ROOT = Path(__file__).parent.parent.parent
NOT_INSTALLED = 3
#: Seconds that a server may take to start, and to end.
PATIENCE = 20.0
MARKS = re.compile(r"(\.\. The table of make check-peers begins here\.\n\n).*?(\n\.\. It ends here\.\n)", re.DOTALL)


def rows_of(name: str) -> tuple[str, list[Row]] | None:
    """The server's name with its version, and the rows; None where it is not installed."""
    command = [sys.executable, "-m", "tests.check_peers.peer", name]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)  # where some of them log each of our mistakes
    assert process.stdin and process.stdout
    with process:
        try:
            port, _, title = process.stdout.readline().strip().partition(" ")
            if not port:
                if process.wait(PATIENCE) != NOT_INSTALLED:
                    raise RuntimeError(f"{name} did not start")
                return None
            target = target_of(f"http://127.0.0.1:{port}/", 1.0)
            return title, list(checked(target, baseline_of(target), AREAS))
        finally:
            process.stdin.close()
            process.wait(PATIENCE)


def table(found: list[tuple[str, list[Row]]]) -> str:
    """As reStructuredText: for each server what is as asked, and by area how many MUST and SHOULD are broken."""
    head = ["Server", "as asked", *AREAS]
    lines = []
    for title, rows in found:
        counts = summary(rows)
        cells = [f"{counts[area][MUST]} + {counts[area][SHOULD]}" if counts[area][MUST] + counts[area][SHOULD] else "-"
                 for area in AREAS]
        lines.append([title, f"{counts['all']['as asked']} of {counts['all']['rows']}", *cells])
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in [head, *lines]]
    return "\n".join([rule, text[0], rule, *text[1:], rule, ""])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.check_peers", description=__doc__)
    parser.add_argument("--only", action="append", choices=SERVERS, help="more than once for several; README.rst stays")
    parser.add_argument("--verbose", action="store_true", help="each row that is not as asked")
    options = parser.parse_args()
    found = []
    for name in options.only or SERVERS:
        rows = rows_of(name)
        if rows is None:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        found.append(rows)
        if options.verbose:
            print(f"{rows[0]}\n" + "\n".join(row.as_text() for row in rows[1] if row.verdict.level))
    print(table(found))
    if not options.only:
        readme = ROOT / "README.rst"
        readme.write_text(MARKS.sub(lambda match: match[1] + table(found) + match[2], readme.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
