"""The command line of the benchmarks."""
from __future__ import annotations

import argparse
import platform
import sys
import time

from collections.abc import Callable
from functools import partial

from tests.benchmarks import answer, certificate, client, command, files, imports, latency, memory, rows, websocket
from tests.benchmarks.processors import keep_apart
from tests.benchmarks.report import Options, Score

SECTIONS: dict[str, Callable[[Options, Score], None]] = {
    **{group: partial(rows.run, group) for group in rows.GROUPS}, "latency": latency.run, "answer": answer.run,
    "client": client.run, "files": files.run, "command": command.run, "memory": memory.run,
    "import": imports.run, "certificate": certificate.run, "websocket": websocket.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks",
                                     description="How fast blockingio is beside others.")
    parser.add_argument("--only", metavar="SECTIONS", default=",".join(SECTIONS),
                        help=f"some of {','.join(SECTIONS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=2,
                        help="length of one measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3,
                        help="measurements of each, in turn (default: %(default)s)")
    parser.add_argument("--shared", action="store_true",
                        help="let load and servers share all processors (default: the load has one of its own)")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if arguments.seconds < 1 or arguments.rounds < 1:
        parser.error("--seconds and --rounds are at least 1")
    begin = time.monotonic()
    placed = "load and servers on all processors" if arguments.shared else keep_apart()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; {placed}")
    score = Score()
    for name in names:
        SECTIONS[name](Options(arguments.seconds, arguments.rounds), score)
    print(f"\n{score}")
    print(f"\n{time.monotonic() - begin:.0f} s in all")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
