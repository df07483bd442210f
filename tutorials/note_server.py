"""Keeps notes in notes.txt: POST {"myNote": "text"} or {"getNote": 0}. See README.rst."""

import json
from pathlib import Path

from blockingio import HttpRequest, HttpServer, HttpStatus, InternetAddress

NOTES = Path("notes.txt")


def handle(request: HttpRequest) -> None:
    response = request.response
    if request.method == "OPTIONS":
        response.status_code = HttpStatus.NO_CONTENT
    elif request.method == "POST":
        response.status_code, text = answer(request)
        response.writeln(text)
    else:
        response.status_code = HttpStatus.METHOD_NOT_ALLOWED
        response.headers["allow"] = "POST, OPTIONS"
        response.writeln(f"Unsupported request: {request.method}.")
    response.close()


def answer(request: HttpRequest) -> tuple[HttpStatus, str]:
    try:
        question = json.load(request)
    except (ValueError, RecursionError):
        return HttpStatus.BAD_REQUEST, "That is not JSON."
    match question:
        case {"myNote": str(note)}:
            return HttpStatus.OK, f"Notes so far: {save_note(note)}."
        case {"getNote": number}:
            notes = read_notes()
            # The page sends what was typed into a field, so the number comes as text.
            if str(number) in map(str, range(len(notes))):
                return HttpStatus.OK, notes[int(number)]
            return HttpStatus.NOT_FOUND, f"There is no such note. Notes so far: {len(notes)}, counted from 0."
    return HttpStatus.BAD_REQUEST, 'Expected {"myNote": "text"} or {"getNote": 0}.'


def read_notes() -> list[str]:
    try:
        return NOTES.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def save_note(note: str) -> int:
    """Adds a note as one line; gives the number of notes that there are now."""
    line = " ".join(note.split())
    with NOTES.open("a", encoding="utf-8", errors="replace") as file:
        file.write(line + "\n")
    return len(read_notes())


try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4042)
    server.max_body_size = 1_000_000

    # CORS: pages from anywhere may ask this server. Set here, these go out with every answer.
    server.default_response_headers["access-control-allow-origin"] = "*"
    server.default_response_headers["access-control-allow-methods"] = "POST, OPTIONS"
    server.default_response_headers["access-control-allow-headers"] = "Content-Type"
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    server.for_each(handle)
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
