"""blockingio's HttpClient."""
from blockingio import HttpClient
from tests.benchmarks.contenders import report_requests
from tests.benchmarks.contenders.request import CONTENT, KIND, SECONDS, URL


def send() -> bytes:
    if KIND != "post":
        return client.get_url(URL).close().read()
    request = client.post_url(URL)
    request.add(CONTENT)
    return request.close().read()


with HttpClient() as client:
    client.bad_certificate_callback = lambda certificate, host, port: True
    report_requests(send, SECONDS)
