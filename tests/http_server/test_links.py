"""VirtualDirectory and symbolic links: nothing outside the root, however they are moved, and when."""
from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from blockingio.http_server import safe_open
from blockingio.net.system import CAN_OPEN_BELOW
from tests.http_server.sites import site
from tests.peers import eventually

# Where a link in the root points, and what GET of it gives while the root is a jail.
LINKS = [
    ("hello.txt", 200),
    ("./sub/../hello.txt", 200),
    ("sub/index.html", 200),
    ("{root}/hello.txt", 200),
    ("{root}/sub/../hello.txt", 200),
    ("{link}/hello.txt", 404),  # the root by another name is not the root that was given ...
    ("nothing", 404),
    ("loop", 404),
    ("../secret.txt", 404),
    ("../root/hello.txt", 404),  # ... and the way out and in again is a way out
    ("sub/../../secret.txt", 404),
    ("{root}/../secret.txt", 404),
    ("/etc/passwd", 404),
    ("/", 404),
    ("..", 404),
    ("{root}x/secret.txt", 404),
    ("hello.txt/", 404),
    ("a-link-to-out", 404),
    ("a-link-to-in", 200),
    ("a-directory-link/index.html", 200),
]


@pytest.fixture(params=[True, False], ids=["by descriptor", "by path"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to open: the second, for systems without openat(), follows no link."""
    by_descriptor: bool = request.param and CAN_OPEN_BELOW
    if not by_descriptor:
        monkeypatch.setattr(safe_open, "CAN_OPEN_BELOW", False)
    return by_descriptor


@pytest.mark.parametrize(("target", "status"), LINKS)
def test_a_link_to_a_file(root: Path, way: bool, target: str, status: int) -> None:
    beside = root.parent / "rootx"
    beside.mkdir()
    (beside / "secret.txt").write_text("secret")
    (root.parent / "link").symlink_to("root")
    (root / "loop").symlink_to("loop")
    (root / "a-link-to-out").symlink_to("../secret.txt")
    (root / "a-link-to-in").symlink_to("sub/index.html")
    (root / "a-directory-link").symlink_to("sub/deep/..")
    target = target.format(root=root, link=root.parent / "link")
    (root / "it").symlink_to(target)
    (root / "sub" / "it").symlink_to(target if target.startswith("/") else f"../{target}")
    if not way:
        status = 404
    with site(root) as client:
        for asked in ("/it", "/sub/it"):
            response = client.get(asked)
            assert response.status == status
            assert b"secret" not in response.body


def test_a_link_to_a_directory(root: Path, way: bool) -> None:
    (root / "in").symlink_to("sub")
    (root / "sub" / "up").symlink_to("..")
    (root / "sub" / "self").symlink_to(".")
    (root / "out").symlink_to("..")
    with site(root, allow_directory_listing=True) as client:
        for target in "/in/index.html", "/in/", "/sub/up/hello.txt", "/sub/up/", "/sub/self/self/self/index.html":
            assert client.get(target).status == (200 if way else 404)
        assert client.get("/in").header("location") == ("/in/" if way else None)
        for target in "/out", "/out/", "/out/secret.txt", "/out/root/hello.txt":
            assert client.get(target).status == 404
        assert (b"up/" in client.get("/sub/").body) == way


def test_where_no_link_can_be_followed_safely_the_log_says_so_once(
        root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(safe_open, "CAN_OPEN_BELOW", False)
    (root / "it").symlink_to("hello.txt")
    with site(root) as client:
        for target, status in [("/hello.txt", 200), ("/it", 404), ("/it", 404), ("/nothing", 404)]:
            assert client.get(target).status == status
    assert [record.getMessage() for record in caplog.records] == [
        f"links below {root} are not followed: this system cannot see to it that they stay there "
        "(os.open with dir_fd and O_NOFOLLOW)"]
    with site(root, jail_root=False) as client:
        assert client.get("/it").status == 200


@pytest.mark.needs("dir_fd")
def test_links_without_end(root: Path) -> None:
    for number in range(60):
        (root / f"l{number}").symlink_to(f"l{number + 1}")
    (root / "l60").symlink_to("hello.txt")
    (root / "here").symlink_to(".")
    with site(root) as client:
        assert client.get("/l30").status == 200
        assert client.get("/l0").status == 404
        assert client.get("/here" * 30 + "/hello.txt").status == 200
        assert client.get("/here" * 100 + "/hello.txt").status == 404


def test_links_are_not_followed_when_told(root: Path, way: bool) -> None:
    (root / "in.txt").symlink_to("hello.txt")
    (root / "in").symlink_to("sub")
    with site(root, follow_links=False) as client:
        assert client.get("/in.txt").status == 404
        assert client.get("/in/index.html").status == 404
        assert client.get("/in").status == 404
        assert client.get("/sub/index.html").status == 200
        assert client.get("/hello.txt").status == 200
    with site(root, follow_links=False, jail_root=False) as client:
        assert client.get("/in.txt").status == 404
        assert client.get("/hello.txt").status == 200


def test_without_the_jail_links_lead_anywhere_and_paths_do_not(root: Path) -> None:
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "out").symlink_to("..")
    with site(root, jail_root=False) as client:
        assert client.get("/out.txt").body == b"secret"
        assert client.get("/out/secret.txt").body == b"secret"
        assert client.get("/../secret.txt").status == 404
        assert client.get("/%2e%2e/secret.txt").status == 404
        assert client.get("/..%2fsecret.txt").status == 404


@pytest.mark.needs("dir_fd")
def test_a_root_that_is_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to("root")
    (root / "by-root").symlink_to(root / "hello.txt")
    (root / "by-link").symlink_to(link / "hello.txt")
    with site(link) as client:
        for target in ("/hello.txt", "/by-root", "/by-link"):
            assert client.get(target).status == 200


def test_the_root_of_all(root: Path) -> None:
    (root / "up").symlink_to("/" + "../" * 40 + str(root)[1:] + "/hello.txt")
    with site(Path("/")) as client:
        assert client.get(f"{root}/hello.txt").body == b"Hello, world!"
        assert client.get(f"{root}/nothing").status == 404


def test_a_precompressed_neighbour_outside_is_not_taken(root: Path) -> None:
    (root / "hello.txt.gz").symlink_to("../secret.txt")
    with site(root) as client:
        response = client.get("/hello.txt", "Accept-Encoding: gzip")
        assert response.body == b"Hello, world!"
        assert response.header("content-encoding") is None


@pytest.mark.parametrize("what", ["a file", "a directory"])
@pytest.mark.needs("dir_fd")
def test_a_link_that_is_put_in_the_way_at_any_moment(root: Path, what: str) -> None:
    """A file, or a directory above it, is swapped with a link to the outside, over and over."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "it").write_text("secret")
    if what == "a file":
        (root / "it").write_text("public")
        (root / "other").symlink_to("../outside/it")
        target, one, two = "/it", root / "it", root / "other"
    else:
        (root / "there").mkdir()
        (root / "there" / "it").write_text("public")
        (root / "other").symlink_to("../outside")
        target, one, two = "/there/it", root / "there", root / "other"
    stop = threading.Event()

    def swap() -> None:
        spare = root / "spare"
        while not stop.is_set():
            os.rename(one, spare)
            os.rename(two, one)
            os.rename(spare, two)

    swapping = threading.Thread(target=swap)
    seen: set[int] = set()

    def ask() -> bool:
        for _ in range(400):
            response = client.get(target)
            assert response.status in (200, 404)
            assert b"secret" not in response.body
            seen.add(response.status)
        return seen == {200, 404}

    with site(root) as client:
        swapping.start()
        try:
            eventually(ask)
        finally:
            stop.set()
            swapping.join()


def test_a_directory_that_moves_out_takes_its_files_along(root: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.http_server.file_cache.SETTLED_AFTER", -60)
    with site(root) as client:
        for _ in range(3):
            assert client.get("/sub/index.html").body == b"<p>Sub</p>"
        os.rename(root / "sub", root.parent / "sub")
        assert client.get("/sub/index.html").status == 404
        (root / "sub").symlink_to("../sub")
        assert client.get("/sub/index.html").status == 404
        assert client.get("/sub/").status == 404
        (root / "sub").unlink()
        os.rename(root.parent / "sub", root / "sub")
        assert client.get("/sub/index.html").status == 200


def test_nothing_stays_open(root: Path) -> None:
    """Every way out of opening gives its descriptors back: the suite's own guard counts them in the end."""
    (root / "in").symlink_to("sub")
    (root / "out").symlink_to("..")
    (root / "sub" / "loop").symlink_to("loop")
    targets = ("/", "/hello.txt", "/in/", "/in/deep/a%20b.css", "/in/deep/nothing", "/sub/loop", "/out/x",
               "/sub", "/sub/deep/x/y/z", "/hello.txt/x")
    with site(root, allow_directory_listing=True) as client:
        for target in targets:
            client.get(target)
            for field in ("Range: bytes=0-1", "Range: bytes=900-", 'If-Match: "x"', "If-None-Match: *"):
                client.get(target, field)
