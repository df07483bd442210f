"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.servers import Site
from tests.peers import Certificates


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def site(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Site]:
    site = Site(request.param, certificates)
    with site.client:
        yield site
