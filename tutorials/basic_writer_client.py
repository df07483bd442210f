"""Posts JSON to basic_writer_server.py, which writes it into file.txt. See README.rst."""

import json
import sys

from blockingio import ContentType, HttpClient, HttpException
from blockingio.wire_view import WireView

DATA = {
    "name": "Han Solo",
    "job": "reluctant hero",
    "BFF": "Chewbacca",
    "ship": "Millennium Falcon",
    "weakness": "smuggling debts",
}

try:
    with HttpClient() as client:
        if "--wire" in sys.argv:
            client.wire_log = WireView()
        request = client.post("localhost", 4049, "/file.txt")
        request.headers.content_type = ContentType.JSON
        request.write(json.dumps(DATA))
        response = request.close()
        print(response.read().decode())
except (OSError, HttpException) as error:
    sys.exit(f"{error}.  Does basic_writer_server.py run?")
