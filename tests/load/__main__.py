"""``python -m tests.load [ITEM ...]``: every item, under three minutes, and a table at the end.

Ends with 1 where something was wrong.  It speaks only to 127.0.0.0/8.
"""
from __future__ import annotations

import sys
import time

from tests.load.items import ITEMS, Report
from tests.load.process import raise_file_limit, time_left


def main() -> int:
    wanted = sys.argv[1:]
    names = [item.__name__ for item in ITEMS]
    if unknown := [name for name in wanted if name not in names]:
        print(f"no such item: {', '.join(unknown)}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    print(f"open files: {raise_file_limit():,} a process", flush=True)
    reports: list[tuple[Report, float]] = []
    for item in ITEMS:
        if wanted and item.__name__ not in wanted:
            continue
        if not time_left():
            reports.append((Report(item.__name__, "not begun", ["the time was up"]), 0.0))
            continue
        print(f"{item.__name__} ...", end=" ", flush=True)
        began = time.monotonic()
        try:
            report = item()
        except (RuntimeError, TimeoutError, OSError) as error:
            report = Report(item.__name__, "broke off", [str(error)])
        took = time.monotonic() - began
        print(f"{took:.0f} s", flush=True)
        reports.append((report, took))
    print()
    for report, took in reports:
        print(f"{'ok' if not report.wrong else 'FAILED':<7} {report.item:<18} {took:5.1f} s  {report.done}")
        for problem in report.wrong:
            print(f"{'':<7} {problem}")
    return 1 if any(report.wrong for report, _ in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
