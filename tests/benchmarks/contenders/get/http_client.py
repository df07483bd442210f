"""http.client."""
import http.client
import sys

from tests.benchmarks.contenders import report_gets

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))


def get() -> bytes:
    connection.request("GET", "/")
    return connection.getresponse().read()


report_gets(get, float(sys.argv[2]))
