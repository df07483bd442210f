"""What the server keeps of what clients send: no client can fill the memory with it."""
from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from blockingio import HttpRequest
from blockingio.http_server import VirtualDirectory
from tests.peers import RawClient, serving

#: Times that each is asked for, with values that were not there before, and bytes that may be held more then.
TIMES = 60
FEW_BYTES = 150_000


def long_fields(number: int) -> list[str]:
    """Longer than what clients repeat; together they are longer than a head that is kept."""
    names = [f"x{number}-{index}" for index in range(150)]
    return ["Accept: application/json," + ",".join(names), "Accept-Encoding: gzip," + ";q=0.5,".join(names),
            "Content-Type: text/plain;" + "=1;".join(names), "X-Forwarded-For: fe80::1%" + "".join(names),
            "X-Other: " + "".join(names)]


def growth(ask: Callable[[int], object]) -> int:
    """Bytes that are held more after so many calls with different numbers."""
    ask(0)
    tracemalloc.start()
    try:
        for number in range(1, TIMES):
            ask(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_what_clients_send_does_not_fill_the_memory(tmp_path: Path) -> None:
    for name in ("a.txt", "a.txt.gz"):
        (tmp_path / name).write_bytes(b"x" * 1000)
    directory = VirtualDirectory(tmp_path)
    directory.allow_directory_listing = True

    def handle(request: HttpRequest) -> None:
        assert request.headers.content_type is not None  # which is parsed
        assert request.client_address.startswith("fe80::1%")
        directory.serve_request(request)

    with serving(handle, auto_compress=True, trusted_proxies=["127.0.0.1"]) as server, RawClient(server.port) as client:
        def ask(number: int) -> None:
            for target in ("/", "/a.txt"):
                assert client.get(target, *long_fields(number)).status == 200

        assert growth(ask) < FEW_BYTES
