"""blockingio's WsgiHandler, in one process."""
import sys

sys.argv.append("one")

from tests.benchmarks.contenders.apps import blockingio_wsgi  # noqa: E402,F401
