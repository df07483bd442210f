"""Writes the JSON that is posted to it into a file: POST /NAME. See README.rst."""

import json
import sys
from pathlib import Path

from blockingio import HttpRequest, HttpServer, HttpStatus, InternetAddress
from blockingio.wire_view import WireView

DIRECTORY = Path.cwd().resolve()


def handle(request: HttpRequest) -> None:
    response = request.response
    content_type = request.headers.content_type
    if request.method == "POST" and content_type and content_type.mime_type == "application/json":
        try:
            response.write(f"Wrote data for {save(request)}.")
        except ValueError as error:
            response.status_code = HttpStatus.BAD_REQUEST
            response.write(f"Bad request: {error}.")
        except OSError as error:
            response.status_code = HttpStatus.INTERNAL_SERVER_ERROR
            response.write(f"Cannot write the file: {error.strerror}.")
    else:
        response.status_code = HttpStatus.METHOD_NOT_ALLOWED
        response.headers["allow"] = "POST"
        response.write(f"Unsupported request: {request.method}.  Expected POST with Content-Type: application/json.")
    response.close()


def save(request: HttpRequest) -> object:
    """Writes the body to the file that the request names; gives the name that the data is about."""
    file = file_for(request)
    body = request.read()
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("the body is JSON, but no object: expected {...}")
    file.write_bytes(body)
    return data.get("name", file.name)


def file_for(request: HttpRequest) -> Path:
    """The file named by the last segment of the path; ValueError unless it lies in the working directory."""
    segments = request.uri.path_segments
    name = segments[-1] if segments else ""
    file = (DIRECTORY / name).resolve()
    if file.parent != DIRECTORY or (file.exists() and not file.is_file()):
        raise ValueError(f"{name!r} does not name a file in the working directory")
    return file


try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4049)
    server.max_body_size = 1_000_000
    if "--wire" in sys.argv:
        server.wire_log = WireView()
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    server.for_each(handle)
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
