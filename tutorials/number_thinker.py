"""Thinks of a number from 0 to 9 and lets you guess it: GET /?q=5. See README.rst."""

import random
import sys

from blockingio import HttpServer, HttpStatus, InternetAddress
from blockingio.wire_view import WireView

NUMBERS = [str(number) for number in range(10)]


def think(what: str) -> str:
    number = random.choice(NUMBERS)
    print(f"I'm thinking of {what}: {number}", flush=True)
    return number


try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4041)
    if "--wire" in sys.argv:
        server.wire_log = WireView()
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    number = think("a number")
    for request in server:
        response = request.response
        guess = request.uri.query_parameters.get("q")
        if request.method != "GET":
            response.status_code = HttpStatus.METHOD_NOT_ALLOWED
            response.headers["allow"] = "GET"
            response.writeln(f"Unsupported request: {request.method}.  Guess with GET.")
        elif guess not in NUMBERS:
            response.status_code = HttpStatus.BAD_REQUEST
            response.writeln("Guess a number from 0 to 9, like this: /?q=5")
        elif guess == number:
            response.writeln("true")
            response.writeln("I'm thinking of another number.")
            number = think("another number")
        else:
            response.writeln("false")
        response.close()
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
