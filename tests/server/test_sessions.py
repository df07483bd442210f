"""Sessions: found by their cookie, ended by time or by hand."""
from __future__ import annotations

import re
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
import requests

from blockingio import Cookie, HttpRequest, HttpSession, StateError
from blockingio.server.session import Sessions
from blockingio.server.timer import TimerThread
from tests.peers import PATIENCE, RawClient, RawResponse, TlsContexts, eventually, serving
from tests.server.visits import visit

#: Seconds of a limit that is to be met; the next request comes in that time, on a busy machine too.
SOON = 0.5
NAME = "BLOCKINGIOSESSID"


def count(request: HttpRequest) -> None:
    """Answer how often this client has been here."""
    session = request.session
    session["visits"] = session.get("visits", 0) + 1
    request.response.write(f"{session['visits']} {'new' if session.is_new else 'known'}")
    request.response.close()


def cookie_of(response: RawResponse) -> str:
    """The Cookie field to send back."""
    values = [value for value in response.get_all("set-cookie") if value.startswith(NAME)]
    assert len(values) == 1
    return f"Cookie: {values[0].partition(';')[0]}"


# -------------------------------------------------------------------- the cookie

def test_a_session_is_found_by_its_cookie() -> None:
    with serving(count) as server, RawClient(server.port) as client:
        first = client.get()
        assert first.body == b"1 new"
        cookie = cookie_of(first)
        for number in (b"2", b"3"):
            response = client.get("/", cookie)
            assert response.body == number + b" known" and response.header("set-cookie") is None
        assert client.get("/", f"Cookie: other=1; {cookie[8:]}; more=2").body == b"4 known"
        assert client.get().body == b"1 new"
        with RawClient(server.port) as other:
            assert other.get("/", cookie).body == b"5 known"


def test_what_the_cookie_says() -> None:
    value = visit(count).header("set-cookie")
    assert value and re.fullmatch(rf"{NAME}=([0-9a-zA-Z]{{32,}}); Path=/; HttpOnly; SameSite=Lax", value)


def test_the_cookie_is_secure_over_tls(tls_contexts: TlsContexts) -> None:
    with serving(count, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            value = client.get().header("set-cookie")
            assert value and {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(value.split("; "))


def test_the_cookie_beside_others() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.cookies.append(Cookie("a", "b"))
        count(request)

    assert len(visit(handler).get_all("set-cookie")) == 2


def test_no_session_without_a_question() -> None:
    assert visit(lambda request: request.response.close()).header("set-cookie") is None


def test_the_same_session_within_one_request() -> None:
    def handler(request: HttpRequest) -> None:
        session = request.session
        assert request.session is session and session.is_new
        assert len(session.id) >= 32
        request.response.close()
        assert request.session is session

    assert len(visit(handler).get_all("set-cookie")) == 1


@pytest.mark.parametrize("cookie", [f"{NAME}=", f"{NAME}=1", f"{NAME}=" + "0" * 64, f"{NAME}=../../x",
                                    f"{NAME}=" + "x" * 4000, f"{NAME}=1; {NAME}=2"])
def test_an_id_that_nobody_gave_is_not_taken(cookie: str) -> None:
    """The id is the server's to choose, so nobody can have one chosen for another."""
    with serving(count) as server, RawClient(server.port) as client:
        response = client.get("/", f"Cookie: {cookie}")
        assert response.body == b"1 new"
        assert cookie_of(response)[8:] not in cookie


def test_the_right_one_of_two_cookies() -> None:
    """A browser may send a stale one of another path too."""
    with serving(count) as server, RawClient(server.port) as client:
        cookie = cookie_of(client.get())
        assert client.get("/", f"Cookie: {NAME}=stale; {cookie[8:]}").body == b"2 known"


def test_ids_differ() -> None:
    with serving(count) as server, RawClient(server.port) as client:
        assert len({cookie_of(client.get()) for _ in range(50)}) == 50


@pytest.mark.parametrize("begin", [lambda r: r.write("x"), lambda r: r.flush(), lambda r: r.close()])
def test_too_late_for_a_new_one(begin: Callable[[Any], object]) -> None:
    """Its cookie cannot go out any more."""

    def handler(request: HttpRequest) -> None:
        begin(request.response)
        with pytest.raises(StateError):
            request.session
        request.response.close()

    assert visit(handler).header("set-cookie") is None


def test_a_known_one_is_there_at_any_time() -> None:
    def handler(request: HttpRequest) -> None:
        if "cookie" in request.headers:
            request.response.write("begun ")
            request.response.flush()
            request.response.write(str(request.session["visits"]))
            request.response.close()
            assert request.session["visits"] == 1
        else:
            count(request)

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.get("/", cookie_of(client.get())).body == b"begun 1"


def test_requests_keeps_its_session() -> None:
    with serving(count) as server, requests.Session() as session:
        url = f"http://127.0.0.1:{server.port}/"
        assert [session.get(url, timeout=PATIENCE).text for _ in range(3)] == ["1 new", "2 known", "3 known"]


# -------------------------------------------------------------------- the mapping

def test_it_is_a_dict() -> None:
    def handler(request: HttpRequest) -> None:
        session = request.session
        assert isinstance(session, HttpSession) and isinstance(session, MutableMapping)
        assert not session and dict(session) == {}
        session["a"] = 1
        session[2] = ["b"]
        session.update(c=None)
        assert len(session) == 3 and "a" in session and session[2] == ["b"] and list(session) == ["a", 2, "c"]
        assert session.setdefault("a", 5) == 1 and session.pop("c") is None
        del session["a"]
        with pytest.raises(KeyError):
            session["a"]
        assert dict(session.items()) == {2: ["b"]}
        assert session == session and session != dict(session) and hash(session) == hash(session)
        assert session.id not in repr(session), "a reader of a log must not take the session over"
        assert "new" in repr(session)
        session.clear()
        assert not session.keys()
        request.response.close()

    assert visit(handler).status == 200


def test_two_servers_have_their_own() -> None:
    with serving(count) as one, serving(count) as two:
        with RawClient(one.port) as first, RawClient(two.port) as second:
            cookie = cookie_of(first.get())
            assert second.get("/", cookie).body == b"1 new"


# --------------------------------------------------------------------------- ends

def test_destroy() -> None:
    timeouts: list[str] = []

    def handler(request: HttpRequest) -> None:
        request.session.on_timeout = lambda: timeouts.append(request.uri.path)
        if request.uri.path == "/leave":
            request.session.destroy()
            request.session.destroy()
        return count(request)

    with serving(handler, session_timeout=SOON) as server, RawClient(server.port) as client:
        cookie = cookie_of(client.get())
        assert client.get("/leave", cookie).status == 200
        response = client.get("/later", cookie)
        assert response.body == b"1 new" and cookie_of(response) != cookie
        eventually(lambda: "/later" in timeouts)  # what was destroyed would have been due before
    assert "/leave" not in timeouts


def test_a_new_one_in_the_place_of_one_that_was_destroyed() -> None:
    """What to do at a login: what is stored from then on is in a session that nobody can have known before."""

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/login":
            request.session["n"] = 10
            request.session.destroy()
            assert "n" not in request.session
        count(request)

    with serving(handler) as server, RawClient(server.port) as client:
        response = client.get("/login")
        assert response.body == b"1 new" and len(response.get_all("set-cookie")) == 1
        old = cookie_of(response)
        assert client.get("/", old).body == b"2 known"
        response = client.get("/login", old)
        new = cookie_of(response)
        assert response.body == b"1 new" and new != old
        assert client.get("/", new).body == b"2 known"
        assert client.get("/", old).body == b"1 new"


def test_time_is_up() -> None:
    """on_timeout is called, on a thread of the server's; the client's next request gets a new session."""
    ended: list[str] = []

    def handler(request: HttpRequest) -> None:
        if request.session.is_new:
            request.session.on_timeout = lambda: ended.append(threading.current_thread().name)
        count(request)

    with serving(handler) as server, RawClient(server.port) as client:
        cookie = cookie_of(client.get())
        assert client.get("/", cookie).body == b"2 known"
        server.session_timeout = SOON
        eventually(lambda: ended)
        assert client.get("/", cookie).body == b"1 new"
    assert len(ended) >= 1 and "timer" in ended[0]


def test_a_session_whose_time_is_up_is_not_found_any_more() -> None:
    """Also in the moment before the timer_thread has ended it."""
    def handler(request: HttpRequest) -> None:
        count(request)
        request.session._last_used -= 1000

    with serving(handler, session_timeout=100) as server, RawClient(server.port) as client:
        cookie = cookie_of(client.get())
        assert client.get("/", cookie).body == b"1 new"


def test_a_session_in_use_lives_on() -> None:
    """Its time begins anew with each request: more than the half of it passes between two of them."""
    def handler(request: HttpRequest) -> None:
        count(request)
        request.session._last_used -= 60

    with serving(handler, session_timeout=100) as server, RawClient(server.port) as client:
        cookie = cookie_of(client.get())
        for number in range(4):
            assert client.get("/", cookie).body == b"%d known" % (number + 2)


def test_each_has_its_own_time() -> None:
    ended: list[str] = []

    def handler(request: HttpRequest) -> None:
        path = request.uri.path
        if request.session.is_new:
            request.session.on_timeout = lambda: ended.append(path)
        count(request)

    with serving(handler) as server, RawClient(server.port) as client:
        first = cookie_of(client.get("/first"))
        client.get("/second")
        assert client.get("/first", first).body == b"2 known"
        server.session_timeout = SOON
        eventually(lambda: len(ended) == 2)
        assert ended == ["/second", "/first"]


def test_session_timeout_can_be_changed() -> None:
    """Also for those that are there."""
    ended = threading.Event()

    def handler(request: HttpRequest) -> None:
        request.session.on_timeout = ended.set
        count(request)

    with serving(handler) as server, RawClient(server.port) as client:
        assert server.session_timeout == 20 * 60
        client.get()
        server.session_timeout = 0.01
        assert server.session_timeout == 0.01
        assert ended.wait(PATIENCE)
        server.session_timeout = 1000
        assert client.get("/", cookie_of(client.get())).body == b"2 known"


@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_a_very_long_timeout(seconds: float) -> None:
    """As good as none; and what else is due is not forgotten over it."""
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/deadline":
            request.response.deadline = 0.05
            request.response.flush()
            return kept.append(request)
        count(request)

    kept: list[HttpRequest] = []
    with serving(handler) as server, RawClient(server.port) as client:
        try:
            server.session_timeout = seconds
        except ValueError:
            assert seconds == float("inf")
            return
        assert client.get("/", cookie_of(client.get())).body == b"2 known"
        client.send(b"GET /deadline HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_until_eof()
        kept[0].response.close()


def test_the_least_recently_used_makes_room() -> None:
    """Never more than max_sessions; whose is gone is told as if its time were up, and gets a new one."""
    ended: list[tuple[str, str]] = []

    def handler(request: HttpRequest) -> None:
        path = request.uri.path
        request.session.on_timeout = lambda: ended.append((path, threading.current_thread().name))
        count(request)

    with serving(handler, max_sessions=3) as server, RawClient(server.port) as client:
        first, second, third = [cookie_of(client.get(f"/{number}")) for number in (1, 2, 3)]
        assert client.get("/1", first).body == b"2 known"
        client.get("/4")
        eventually(lambda: ended)
        assert ended[0][0] == "/2" and "timer" in ended[0][1]
        assert [client.get("/x", cookie).body for cookie in (third, first)] == [b"2 known", b"3 known"]
        assert len(server.state.sessions._by_id) == 3
        server.max_sessions = 1
        eventually(lambda: len(ended) == 3)
        assert client.get("/x", first).body == b"4 known"
        assert client.get("/x", third).body == client.get("/x", second).body == b"1 new"


def test_a_use_and_an_end_look_at_the_oldest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they cost does not depend on how many sessions there are: each looks at a few at most."""
    looks = 0

    def look(session: HttpSession) -> float:
        nonlocal looks
        looks += 1
        used: float = session.__dict__["used"]
        return used

    monkeypatch.setattr(HttpSession, "_last_used",
                        property(look, lambda session, used: session.__dict__.update(used=used)), raising=False)
    timer_thread = TimerThread("blockingio timer of a test")
    sessions = Sessions(timer_thread, 3600, 100_000)
    all_of_them = [sessions.create() for _ in range(5000)]
    assert looks <= 1
    for session in all_of_them[::3]:
        assert sessions.find(session.id) is session
    assert looks <= 5000
    looks = 0
    for ended, session in enumerate([*all_of_them[1::3], *all_of_them[2::3]][:500], 1):
        oldest = next(iter(sessions._by_id.values()))
        oldest._last_used = -3600.0
        assert sessions._timer
        sessions._timer.cancel()  # it comes now
        sessions._end_unused()
        assert len(sessions._by_id) == 5000 - ended
    assert looks <= 500 * 4
    sessions.close()
    timer_thread.prune()


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_an_on_timeout_does_not_end_what_is_the_servers(error: type[BaseException],
                                                        caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises: other sessions and deadlines are still due."""
    ended: list[int] = []

    def handler(request: HttpRequest) -> None:
        def fail() -> None:
            ended.append(1)
            raise error

        request.session.on_timeout = fail
        count(request)

    with serving(handler, session_timeout=0.05) as server, RawClient(server.port) as client:
        client.get()
        eventually(lambda: len(ended) == 1)
        client.get()
        eventually(lambda: len(ended) == 2)
        eventually(lambda: len(caplog.records) == 2)


def test_an_on_timeout_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[int] = []

    def handler(request: HttpRequest) -> None:
        def fail() -> None:
            ended.append(1)
            raise ZeroDivisionError

        request.session.on_timeout = fail
        count(request)

    with serving(handler) as server, RawClient(server.port) as client:
        client.get()
        client.get()
        server.session_timeout = 0.001
        eventually(lambda: len(ended) == 2)  # the second is not forgotten over the first
        server.session_timeout = 100
        eventually(lambda: caplog.records)
        assert client.get().body == b"1 new"
    assert caplog.records[0].exc_info and caplog.records[0].exc_info[0] is ZeroDivisionError


def test_on_timeout_may_ask_the_server() -> None:
    """Its thread holds nothing that a request would wait for."""
    answers: list[bytes] = []

    def handler(request: HttpRequest) -> None:
        def ask() -> None:
            with RawClient(server.port) as client:
                answers.append(client.get().body)

        if request.uri.path == "/first":
            request.session.on_timeout = ask
        count(request)

    with serving(handler, session_timeout=0.05) as server, RawClient(server.port) as client:
        client.get("/first")
        eventually(lambda: answers)
    assert answers == [b"1 new"]


def test_close_forgets_sessions() -> None:
    ended: list[int] = []

    def handler(request: HttpRequest) -> None:
        request.session.on_timeout = lambda: ended.append(1)
        count(request)

    with serving(handler, session_timeout=SOON) as server, RawClient(server.port) as client:
        client.get()
        server.close()
        threading.Event().wait(SOON * 1.5)
    assert not ended


def test_many_at_once() -> None:
    """Requests of one session on several threads: each access is whole."""
    def handler(request: HttpRequest) -> None:
        with lock:
            count(request)

    lock = threading.Lock()
    with serving(handler, workers=4) as server:
        with RawClient(server.port) as client:
            cookie = cookie_of(client.get())

        def ask() -> None:
            with RawClient(server.port) as client:
                for _ in range(25):
                    assert client.get("/", cookie).status == 200

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        with RawClient(server.port) as client:
            assert client.get("/", cookie).body == b"102 known"
