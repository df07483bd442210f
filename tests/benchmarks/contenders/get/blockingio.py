"""blockingio's HttpClient."""
import sys

from blockingio import HttpClient
from tests.benchmarks.contenders import report_gets

port = int(sys.argv[1])
with HttpClient() as client:
    report_gets(lambda: client.get("127.0.0.1", port, "/").close().read(), float(sys.argv[2]))
