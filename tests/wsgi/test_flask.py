"""A Flask application as people write them, where Flask is installed."""
from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio.wsgi import WsgiHandler
from tests.peers import PATIENCE, serving

pytestmark = pytest.mark.skipif(find_spec("flask") is None, reason="Flask is not installed")


def make_application(directory: Path) -> Any:
    import flask

    app = flask.Flask("shop")
    app.secret_key = "x"

    @app.route("/", methods=["GET", "HEAD"])
    def hello() -> str:
        return "Hello, wörld!"

    @app.post("/json")
    def json() -> Any:
        return flask.jsonify(flask.request.get_json())

    @app.post("/form")
    def form() -> str:
        file = flask.request.files["file"]
        return f"{flask.request.form['name']} {file.filename} {len(file.read())}"

    @app.post("/length")
    def length() -> str:
        return str(len(flask.request.get_data()))

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(f"line {number}\n" for number in range(100))

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(directory / "file.bin", conditional=True)

    @app.get("/count")
    def count() -> str:
        flask.session["count"] = flask.session.get("count", 0) + 1
        return str(flask.session["count"])

    @app.get("/fail")
    def fail() -> str:
        raise KeyError("lost")

    @app.get("/where")
    def where() -> str:
        return f"{flask.request.remote_addr} {flask.request.url} {flask.url_for('hello', _external=True)}"

    return app


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "file.bin").write_bytes(bytes(range(256)) * 1000)
    app = make_application(tmp_path)
    with serving(WsgiHandler(app, script_name="/shop"), workers=4, trusted_proxies=["127.0.0.1"]) as server:
        yield f"http://127.0.0.1:{server.port}/shop"


def test_what_applications_do(url: str) -> None:
    with requests.Session() as session:
        def get(path: str, **settings: Any) -> requests.Response:
            return session.get(url + path, timeout=PATIENCE, **settings)

        def post(path: str, **settings: Any) -> requests.Response:
            return session.post(url + path, timeout=PATIENCE, **settings)

        assert get("/").content.decode() == "Hello, wörld!"
        assert session.head(url + "/", timeout=PATIENCE).headers["content-length"] == "14"
        assert get("/none").status_code == 404
        assert post("/").status_code == 405
        assert post("/json", json={"a": [1, "ü"]}).json() == {"a": [1, "ü"]}
        assert post("/form", data={"name": "Han"},
                    files={"file": ("a.bin", io.BytesIO(bytes(500_000)))}).text == "Han a.bin 500000"
        assert post("/length", data=iter([b"abc", b"de"])).text == "5"
        assert get("/stream").text == "".join(f"line {number}\n" for number in range(100))
        assert get("/file").content == bytes(range(256)) * 1000
        part = get("/file", headers={"Range": "bytes=254-257"})
        assert (part.status_code, part.content) == (206, bytes((254, 255, 0, 1)))
        again = get("/file", headers={"If-None-Match": get("/file").headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert [get("/count").text for _ in range(3)] == ["1", "2", "3"]


def test_where_it_is(url: str) -> None:
    fields = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "Host": "a.example"}
    with requests.get(url + "/where", headers=fields, timeout=PATIENCE) as response:
        assert response.text == "192.0.2.1 https://a.example/shop/where https://a.example/shop/"


def test_its_errors_are_its_own(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert requests.get(url + "/fail", timeout=PATIENCE).status_code == 500
    assert [record.name for record in caplog.records] == ["shop"]
