"""The command's sites to talk to."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blockingio.cli.site import Site, SiteOptions
from tests.peers import RawClient, RawResponse, serving


def make_directory(parent: Path) -> Path:
    """One to serve, with a file and an empty folder."""
    directory = parent / "site"
    (directory / "sub").mkdir(parents=True)
    (directory / "hello.txt").write_text("Hello, world!")
    return directory


@contextmanager
def site(directory: Path, **options: Any) -> Iterator[RawClient]:
    with serving(Site(directory, SiteOptions(**options)).handle) as server, RawClient(server.port) as client:
        yield client


def send(client: RawClient, method: str, target: str, *fields: str, body: bytes = b"") -> RawResponse:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields]
    return client.send("\r\n".join([*lines, "", ""]).encode() + body).read_response(method)


def temporaries(directory: Path) -> list[str]:
    """Uploads that are not whole yet."""
    return [name for name in os.listdir(directory) if name.startswith(".")]
