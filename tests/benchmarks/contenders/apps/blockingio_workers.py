"""blockingio, with eight workers."""
import sys

sys.argv.append("workers=8")

from tests.benchmarks.contenders.apps import blockingio  # noqa: E402,F401
