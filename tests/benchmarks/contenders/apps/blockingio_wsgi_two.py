"""blockingio's WsgiHandler, in two processes."""
import sys

sys.argv.append("two")

from tests.benchmarks.contenders.apps import blockingio_wsgi  # noqa: E402,F401
