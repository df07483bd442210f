"""http.client."""
import http.client

from tests.benchmarks.contenders import report_requests, trusting
from tests.benchmarks.contenders.request import CONTENT, KIND, PORT, SECONDS

if KIND == "tls":
    connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", PORT, context=trusting())
else:
    connection = http.client.HTTPConnection("127.0.0.1", PORT)


def send() -> bytes:
    if KIND == "post":
        connection.request("POST", "/", CONTENT)
    else:
        connection.request("GET", "/")
    return connection.getresponse().read()


report_requests(send, SECONDS)
