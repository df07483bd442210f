"""Run a tutorial's client as it is, except that it finds its server on another port and does not wait.

launch_client.py PROGRAM PORT REAL_PORT: the program must ask for PORT on localhost, as its chapter says.
It says "(a second)" where it would have slept for one.
"""
from __future__ import annotations

import runpy
import signal
import sys
import time

from blockingio import HttpClient, HttpClientRequest

program, port, real_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
really_open = HttpClient.open


def open_elsewhere(self: HttpClient, method: str, host: str, asked_port: int, path: str) -> HttpClientRequest:
    assert (host, asked_port) == ("localhost", port), f"{asked_port} on {host}"
    return really_open(self, method, "127.0.0.1", real_port, path)


def sleep(seconds: float) -> None:
    assert seconds == 1
    print("(a second)")


setattr(HttpClient, "open", open_elsewhere)
setattr(time, "sleep", sleep)
# A shell that runs the tests in the background may start them with SIGINT ignored, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path(program, run_name="__main__")
