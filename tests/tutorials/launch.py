"""Run a tutorial's program as it is, except that it gets another port instead of the one in its text.

launch.py PROGRAM PORT REAL_PORT: the program must ask for PORT on 127.0.0.1, which is what its chapter says;
REAL_PORT 0 is any that is free.
"""
from __future__ import annotations

import runpy
import signal
import sys
from typing import Any

from blockingio import HttpServer, InternetAddress


def on_another_port(bind: Any, expected: int, real_port: int) -> Any:
    def bind_somewhere(address: InternetAddress, port: int, *arguments: Any) -> HttpServer:
        assert (address, port) == (InternetAddress.LOOPBACK_IP_V4, expected), f"{port} on {address}"
        server: HttpServer = bind(address, real_port, *arguments)
        return server

    return staticmethod(bind_somewhere)


program, port, real_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for name in "bind", "bind_secure":
    setattr(HttpServer, name, on_another_port(getattr(HttpServer, name), port, real_port))
# A shell that runs the tests in the background may start them with SIGINT ignored, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path(program, run_name="__main__")
