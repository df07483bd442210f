"""blockingio, with two workers."""
import sys

sys.argv.append("workers=2")

from tests.benchmarks.contenders.apps import blockingio  # noqa: E402,F401
