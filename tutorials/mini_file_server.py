"""Sends one file, index.html, whatever it is asked for. See README.rst."""

import shutil
from pathlib import Path

from blockingio import ContentType, HttpServer, HttpStatus, InternetAddress

FILE = Path(__file__).resolve().with_name("index.html")

try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4044)
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    for request in server:
        response = request.response
        try:
            with FILE.open("rb") as file:
                response.headers.content_type = ContentType.HTML
                shutil.copyfileobj(file, response)
        except OSError as error:
            response.status_code = HttpStatus.NOT_FOUND
            response.headers.content_type = ContentType.TEXT
            response.write(f"Cannot open {FILE.name}: {error.strerror}.")
        response.close()
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
