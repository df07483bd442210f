"""What `import blockingio` costs, beside http.server: processes in turn, each timing its one import.

blockingio loads its names when they are first asked for, so a server's is timed too.
"""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from tests.benchmarks.report import Options, Score, print_table, ratio, say

BASE = "import http.server"
STATEMENTS = [BASE, "import blockingio",
              "from blockingio import HttpServer", "from blockingio import HttpClient"]
# Processes for each statement.  The best counts: whatever else the machine does can only add.
RUNS = 15
_TIMED = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"


def run(options: Options, score: Score) -> None:
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    with tempfile.TemporaryDirectory() as cache:
        # The first process of each compiles, the others find its bytecode, whatever is set here otherwise.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(RUNS):
            for statement in list(times):
                command = [sys.executable, "-c", _TIMED.format(statement)]
                done = subprocess.run(command, capture_output=True, text=True, env=environment)
                if done.returncode:
                    say(f"import: without {statement!r}: {done.stderr.strip().splitlines()[-1]}")
                    del times[statement]
                else:
                    times[statement].append(float(done.stdout))
    best = {statement: min(runs) for statement, runs in times.items()}
    rows = [[statement, f"{seconds * 1e3:.1f}", ratio(seconds, best.get(BASE))]
            for statement, seconds in best.items()]
    print_table(f"import (best of {RUNS})", ["ms", "x http.server"], rows,
                "blockingio is to reach at most 1.00 times http.server")
