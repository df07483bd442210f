"""httpx, with a Client."""
import httpx

from tests.benchmarks.contenders import report_requests
from tests.benchmarks.contenders.request import CONTENT, KIND, SECONDS, URL

with httpx.Client(verify=False) as client:
    report_requests(lambda: (client.post(URL, content=CONTENT) if KIND == "post" else client.get(URL)).content,
                    SECONDS)
