"""pycurl: libcurl, in C."""
from io import BytesIO

import pycurl

from tests.benchmarks.contenders import report_requests
from tests.benchmarks.contenders.request import CONTENT, KIND, SECONDS, URL

curl = pycurl.Curl()
curl.setopt(pycurl.URL, URL)
curl.setopt(pycurl.SSL_VERIFYPEER, 0)
curl.setopt(pycurl.SSL_VERIFYHOST, 0)
if KIND == "post":
    curl.setopt(pycurl.POSTFIELDS, CONTENT)


def send() -> bytes:
    buffer = BytesIO()
    curl.setopt(pycurl.WRITEDATA, buffer)
    curl.perform()
    return buffer.getvalue()


report_requests(send, SECONDS)
