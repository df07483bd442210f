"""http.client, with read(65536)."""
import http.client
import sys

from tests.benchmarks.contenders import report_downloads

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))


def download(target: str) -> int:
    connection.request("GET", target)
    response = connection.getresponse()
    size = 0
    while data := response.read(65536):
        size += len(data)
    return size


report_downloads(download)
