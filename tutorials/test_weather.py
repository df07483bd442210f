"""Tests of weather.py with pytest. See README.rst."""

import pytest
from weather import temperature

from blockingio import HttpException
from blockingio.testing import Fault, RunningServer

WARM = {"town": "Rome", "celsius": 31.5}


def test_a_town(http_server: RunningServer) -> None:
    http_server.on("GET", "/towns/Rome", json=WARM)
    assert temperature(http_server.url, "Rome") == 31.5
    assert http_server.requests[0].headers["accept-encoding"] == "gzip"


def test_a_town_that_nobody_knows(http_server: RunningServer) -> None:
    http_server.on("GET", "/towns/Atlantis", status=404)
    assert temperature(http_server.url, "Atlantis") is None


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(cut_after=10), Fault(delay=30), Fault(bad_chunk=True)])
def test_it_asks_a_second_time(http_server: RunningServer, fault: Fault) -> None:
    http_server.on("GET", "/towns/Rome", json=WARM)
    http_server.on("GET", "/towns/Rome", json=WARM, fault=fault, times=1)
    assert temperature(http_server.url, "Rome") == 31.5
    assert len(http_server.requests) == 2


def test_it_asks_no_third_time(http_server: RunningServer) -> None:
    http_server.on("GET", "/towns/Rome", fault=Fault(close_before_head=True))
    with pytest.raises(HttpException):
        temperature(http_server.url, "Rome")
    assert len(http_server.requests) == 2
