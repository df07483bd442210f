"""requests, with a Session."""
import sys

import requests

from tests.benchmarks.contenders import report_gets

url = f"http://127.0.0.1:{sys.argv[1]}/"
with requests.Session() as session:
    report_gets(lambda: session.get(url).content, float(sys.argv[2]))
