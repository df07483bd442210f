"""blockingio's HttpClient, chunk by chunk."""
import sys

from blockingio import HttpClient
from tests.benchmarks.contenders import report_downloads

port = int(sys.argv[1])
with HttpClient() as client:
    report_downloads(lambda target: sum(map(len, client.get("127.0.0.1", port, target).close())))
