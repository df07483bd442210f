"""requests, with a Session."""
import warnings

import requests

from tests.benchmarks.contenders import report_requests
from tests.benchmarks.contenders.request import CONTENT, KIND, SECONDS, URL

warnings.simplefilter("ignore")  # of a certificate that is not verified

with requests.Session() as session:
    session.trust_env = False  # what the environment names as authorities would be asked
    session.verify = False
    report_requests(lambda: (session.post(URL, CONTENT) if KIND == "post" else session.get(URL)).content, SECONDS)
