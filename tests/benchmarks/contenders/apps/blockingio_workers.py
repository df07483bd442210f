"""blockingio, with eight workers."""
import sys

sys.argv.append("workers")

from tests.benchmarks.contenders.apps import blockingio  # noqa: E402,F401
