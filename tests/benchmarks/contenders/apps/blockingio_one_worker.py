"""blockingio, with one worker."""
import sys

sys.argv.append("workers=1")

from tests.benchmarks.contenders.apps import blockingio  # noqa: E402,F401
