"""What SecurityContext.self_signed costs: a test with https_server makes one."""
from __future__ import annotations

import time

from blockingio import SecurityContext
from tests.benchmarks.report import Options, Score, print_table

# Certificates; the best counts: whatever else the machine does can only add.
RUNS = 30


def run(options: Options, score: Score) -> None:
    taken = []
    for _ in range(RUNS):
        began = time.thread_time()
        SecurityContext.self_signed()
        taken.append(time.thread_time() - began)
    print_table(f"a self-signed certificate (best of {RUNS})", ["ms of processor time"],
                [["SecurityContext.self_signed()", f"{min(taken) * 1e3:.1f}"]], "it is to take well under 50 ms")
