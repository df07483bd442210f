"""urllib3, with a PoolManager."""
import warnings

import urllib3

from tests.benchmarks.contenders import report_requests
from tests.benchmarks.contenders.request import CONTENT, KIND, SECONDS, URL

warnings.simplefilter("ignore")  # of a certificate that is not verified

pool = urllib3.PoolManager(cert_reqs="CERT_NONE")
body = CONTENT if KIND == "post" else None
report_requests(lambda: pool.request("POST" if body else "GET", URL, body=body).data, SECONDS)
