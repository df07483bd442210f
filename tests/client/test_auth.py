"""Basic, Bearer and Digest: credentials, the examples of the standards, and whole conversations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from blockingio import (
    HttpClient,
    HttpClientBasicCredentials,
    HttpClientBearerCredentials,
    HttpClientCredentials,
    HttpClientDigestCredentials,
    Uri,
)
from blockingio.client.auth import ProtectionSpace
from blockingio.client.challenge import Challenge, parse_challenges, parse_parameters
from blockingio.client.digest import DigestSession
from tests.client.servers import OK, Asked, always, answering, basic, scripted

EMPTY_401 = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n"


def challenge(text: str) -> bytes:
    return (
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\nwww-authenticate: %b\r\n\r\nwho?" % text.encode()
    )


# ------------------------------------------------------------------ credentials


@pytest.mark.parametrize(
    "username, password, expected",
    [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),  # RFC 7617 2
        ("test", "123£", "Basic dGVzdDoxMjPCow=="),  # RFC 7617 2.1
        ("", "", "Basic Og=="),
        ("u", "a:b", "Basic dTphOmI="),
    ],
)
def test_basic(client: HttpClient, username: str, password: str, expected: str) -> None:
    with scripted(answering(OK)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientBasicCredentials(username, password))
        client.get_url(server.url()).close().read()
        client.close()
    assert server.asked[0].header("authorization") == expected


def test_basic_with_a_long_password(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientBasicCredentials("u", "p" * 1000))
        client.get_url(server.url()).close().read()
        client.close()
    assert server.asked[0].header("authorization") == basic("u", "p" * 1000)


@pytest.mark.parametrize("username, password", [("a:b", ""), ("a\n", ""), ("", "a\0"), ("a\x7f", "")])
def test_basic_that_cannot_be_sent(username: str, password: str) -> None:
    with pytest.raises(ValueError):
        HttpClientBasicCredentials(username, password)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nb", "é", "\0"])
def test_a_bearer_token_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(ValueError):
        HttpClientBearerCredentials(token)


@pytest.mark.parametrize("username, password", [("a\n", ""), ("", "a\0")])
def test_digest_that_cannot_be_sent(username: str, password: str) -> None:
    with pytest.raises(ValueError):
        HttpClientDigestCredentials(username, password)


@pytest.mark.parametrize(
    "credentials",
    [
        HttpClientBasicCredentials("u", "secret"),
        HttpClientBearerCredentials("secret"),
        HttpClientDigestCredentials("u", "secret"),
    ],
)
def test_a_repr_tells_no_secret(credentials: HttpClientCredentials) -> None:
    assert "secret" not in repr(credentials)
    assert isinstance(credentials, HttpClientCredentials)


@pytest.mark.parametrize("credentials", [None, "x", HttpClientCredentials()])
def test_what_are_no_credentials(client: HttpClient, credentials: Any) -> None:
    with pytest.raises(TypeError):
        client.add_credentials(Uri.parse("http://a/"), "r", credentials)


def test_a_realm_is_a_str(client: HttpClient) -> None:
    with pytest.raises(TypeError):
        credentials = HttpClientBasicCredentials("u", "p")
        client.add_credentials("http://a/", None, credentials)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url, other, covers",
    [
        ("http://a/", "http://a/", True),
        ("http://a", "http://a/x", True),
        ("http://a/", "http://a", True),
        ("http://a/x", "http://a/x", True),
        ("http://a/x", "http://a/x/y", True),
        ("http://a/x/", "http://a/x/y", True),
        ("http://a/x", "http://a/xy", False),
        ("http://a/x/", "http://a/x", False),
        ("http://a/x", "http://a/", False),
        ("http://a/", "http://a:80/", True),
        ("http://a/", "http://a:81/", False),
        ("http://a/", "http://b/", False),
        ("https://a/", "http://a:443/", False),
        ("http://a/", "https://a/", False),
        ("http://A/", "http://a/", True),
        # Each host has several spellings.
        ("http://a./", "http://a/x", True),
        ("http://b\u00fccher/", "http://xn--bcher-kva./", True),
        ("http://XN--BCHER-KVA/", "http://B\u00dcCHER/", True),
        ("http://[::1]/", "http://[0::1]/", True),
        ("http://[fe80::1%25a]/", "http://[fe80:0::1%25a]/", True),
        ("http://[fe80::1%25a]/", "http://[fe80::1%25b]/", False),
        ("http://[::1]/", "http://[::2]/", False),
        ("http://a%00/", "http://a%00./", True),  # no hosts at all, but no other ones either
    ],
)
def test_what_is_below_a_url(url: str, other: str, covers: bool) -> None:
    assert ProtectionSpace.of(Uri.parse(url)).covers(ProtectionSpace.of(Uri.parse(other))) is covers


@pytest.mark.parametrize("added, asked", [("[::1]", "0::1"), ("P.Example.", "p.example"), ("b\u00fc", "xn--b-eha")])
def test_proxies_have_several_spellings_too(added: str, asked: str) -> None:
    assert ProtectionSpace.of_proxy(added, 80).covers(ProtectionSpace.of_proxy(asked, 80))
    assert not ProtectionSpace.of_proxy(added, 80).covers(ProtectionSpace.of_proxy(asked, 81))


# ------------------------------------------------------------------ the examples of the standards

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    "algorithm, response",
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    session = DigestSession(
        "Mufasa",
        "Circle of Life",
        parse_challenges([RFC_7616.format(algorithm)])[0],
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    scheme, _, rest = session.authorization("GET", "/dir/index.html").partition(" ")
    assert scheme == "Digest"
    assert parse_parameters(rest) == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


@pytest.mark.skipif(
    "sha512_256" not in hashlib.algorithms_available, reason="this OpenSSL has no SHA-512/256"
)
def test_rfc_7616_section_3_9_2() -> None:
    """A name that is hashed, and beyond ASCII; the digests are those of erratum 4897."""
    challenge = parse_challenges(
        [
            'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
            'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
            'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
        ]
    )[0]
    session = DigestSession(
        "Jäsøn Doe", "Secret, or not?", challenge, cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    )
    parameters = parse_parameters(session.authorization("GET", "/doe.json").partition(" ")[2])
    assert parameters["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert parameters["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    assert parameters["userhash"] == "true"


def test_rfc_2617_section_3_5() -> None:
    challenge = Challenge(
        "Digest",
        {
            "realm": "testrealm@host.com",
            "qop": "auth,auth-int",
            "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
        },
    )
    session = DigestSession("Mufasa", "Circle Of Life", challenge, cnonce="0a4f113b")
    value = session.authorization("GET", "/dir/index.html")
    assert parse_parameters(value.partition(" ")[2])["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in value  # it was not in the challenge


def test_rfc_2069_section_2_4() -> None:
    """No qop; the digest is that of the erratum."""
    challenge = Challenge(
        "Digest",
        {
            "realm": "testrealm@host.com",
            "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
        },
    )
    session = DigestSession("Mufasa", "CircleOfLife", challenge)
    value = session.authorization("GET", "/dir/index.html")
    parameters = parse_parameters(value.partition(" ")[2])
    assert parameters["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert not parameters.keys() & {"qop", "nc", "cnonce"}


def test_a_name_beyond_ascii_is_an_ext_value() -> None:
    session = DigestSession("Jäsøn Doe", "p", Challenge("Digest", {"realm": "r", "nonce": "n"}))
    assert "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, " in session.authorization("GET", "/")


def test_quotes_and_backslashes_survive() -> None:
    session = DigestSession('a"b\\c', "p", Challenge("Digest", {"realm": 'r"\\', "nonce": 'n"'}))
    parameters = parse_parameters(session.authorization("GET", "/").partition(" ")[2])
    assert (parameters["username"], parameters["realm"], parameters["nonce"]) == ('a"b\\c', 'r"\\', 'n"')


# ------------------------------------------------------------------ a server that knows Digest


class DigestServer:
    """Checks Digest with nothing of the client's: RFC 7616 3.4.1, in its own words."""

    def __init__(
        self, algorithm: str = "MD5", qop: str | None = "auth", *, password: str = "pässword"
    ) -> None:
        self.algorithm = algorithm
        self.qop = qop
        self.password = password
        self.nonce = "n1"
        self.counts: list[str | None] = []
        self.next_nonces: list[str] = []
        self.challenges = 0
        self.is_stale = False
        self._first_cnonce: dict[str, str] = {}

    def __call__(self, asked: Asked) -> bytes:
        value = asked.header("authorization")
        if value is not None and self.is_right(asked, value):
            more = b""
            if self.next_nonces:
                self.nonce = self.next_nonces.pop(0)
                more = f'Authentication-Info: nextnonce="{self.nonce}"\r\n'.encode()
            return OK.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n", 1)
        self.challenges += 1
        qop = f', qop="{self.qop}"' if self.qop else ""
        stale = ", stale=TRUE" if self.is_stale and value is not None else ""
        return challenge(
            f'Digest realm="r", nonce="{self.nonce}", algorithm={self.algorithm}, opaque="o"{qop}{stale}'
        )

    def is_right(self, asked: Asked, value: str) -> bool:
        found = dict(re.findall(r'(\w+)="?([^",]*)"?', value.removeprefix("Digest ")))
        assert (
            found["uri"] == asked.target and found["opaque"] == "o" and found["algorithm"] == self.algorithm
        )
        if found["nonce"] != self.nonce:
            return False
        self.counts.append(found.get("nc"))
        name = self.algorithm.removesuffix("-sess").lower().replace("-", "")

        def h(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        a1 = h(f"user:r:{self.password}")
        if self.algorithm.endswith("-sess"):
            a1 = h(f"{a1}:{found['nonce']}:{found['cnonce']}")
        a2 = h(f"{asked.method}:{asked.target}")
        if self.qop:
            assert found["qop"] == "auth" and len(found["cnonce"]) >= 16
            expected = h(f"{a1}:{found['nonce']}:{found['nc']}:{found['cnonce']}:auth:{a2}")
        else:
            expected = h(f"{a1}:{found['nonce']}:{a2}")
        return bool(found["response"] == expected)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int,auth", "auth, auth-int"])
def test_digest(client: HttpClient, algorithm: str, qop: str | None) -> None:
    digest = DigestServer(algorithm, qop)
    with scripted(always(digest)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "pässword"))
        for path in ("/a", "/b?q=1", "/c"):
            response = client.get_url(server.url(path)).close()
            assert (response.status_code, response.read()) == (200, b"ok")
        client.close()
        assert server.connections == 1  # the challenge's body was read away
    assert digest.challenges == 1  # after that it is sent at once
    assert digest.counts == (["00000001", "00000002", "00000003"] if qop else [None] * 3)


def test_digest_signs_the_target_that_is_sent(client: HttpClient) -> None:
    """RFC 7616 3.4.6: through an http proxy it is absolute, for the server's challenge too."""
    digest = DigestServer()  # asserts that uri is the target
    with scripted(always(digest)) as proxy:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        url = "http://a.example/x?y#z"
        client.add_credentials(Uri.parse(url), "r", HttpClientDigestCredentials("user", "pässword"))
        for _ in range(2):
            assert client.get_url(url).close().read() == b"ok"
        client.close()
    assert digest.counts == ["00000001", "00000002"]


@pytest.mark.parametrize("more", ['qop=""', "qop=", 'algorithm=""', "algorithm=", 'qop="", algorithm=""'])
def test_an_empty_parameter_of_a_digest_challenge_is_none(client: HttpClient, more: str) -> None:
    with scripted(answering(challenge(f'Digest realm="r", nonce="n", {more}'), OK)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("u", "p"))
        assert client.get_url(server.url("/x")).close().read() == b"ok"
        client.close()
    found = parse_parameters((server.asked[1].header("authorization") or "").partition(" ")[2])

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    assert found["response"] == h(f"{h('u:r:p')}:n:{h('GET:/x')}")  # RFC 2069, in MD5
    assert not found.keys() & {"qop", "nc", "cnonce", "algorithm"}


@pytest.mark.parametrize(
    "text",
    [
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="n", algorithm=SHA-1',
        'Digest realm="r"',
        'Digest realm="other", nonce="n", qop="auth"',
        "Negotiate",
        "",
    ],
)
def test_a_challenge_that_cannot_be_answered_is_the_users(client: HttpClient, text: str) -> None:
    with scripted(answering(challenge(text))) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "p"))
        response = client.get_url(server.url()).close()
        assert (response.status_code, response.read()) == (401, b"who?")
        client.close()


def test_a_wrong_password_is_tried_once(client: HttpClient) -> None:
    digest = DigestServer()
    with scripted(always(digest)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "wrong"))
        for challenges in (2, 3):  # and not again: they are forgotten
            response = client.get_url(server.url()).close()
            assert (response.status_code, response.read()) == (401, b"who?")
            assert digest.challenges == challenges
        client.close()


def test_a_stale_nonce_is_replaced(client: HttpClient) -> None:
    digest = DigestServer()
    digest.is_stale = True
    with scripted(always(digest)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "pässword"))
        client.get_url(server.url()).close().read()
        digest.nonce = "n2"
        for _ in range(2):
            assert client.get_url(server.url()).close().read() == b"ok"
        client.close()
    assert digest.challenges == 2
    assert digest.counts == ["00000001", "00000001", "00000002"]


def test_a_new_nonce_without_stale_is_tried_before_the_password_is_doubted(client: HttpClient) -> None:
    digest = DigestServer()
    with scripted(always(digest)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "pässword"))
        for _ in range(2):
            client.get_url(server.url()).close().read()
        digest.nonce = "n2"  # a server that was started anew
        assert client.get_url(server.url()).close().read() == b"ok"
        client.close()


def test_a_server_for_which_every_nonce_is_stale(client: HttpClient) -> None:
    text = 'Digest realm="r", nonce="n", qop="auth", stale=true'
    with scripted(always(lambda asked: challenge(text))) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "p"))
        response = client.get_url(server.url()).close()  # ends
        assert response.status_code == 401
        response.read()
        client.close()


def test_nextnonce(client: HttpClient) -> None:
    digest = DigestServer()
    digest.next_nonces = ["n2", "n3"]
    with scripted(always(digest)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "pässword"))
        for _ in range(4):
            assert client.get_url(server.url()).close().read() == b"ok"
        client.close()
    assert digest.challenges == 1
    assert digest.counts == ["00000001", "00000001", "00000001", "00000002"]


def test_nextnonce_keeps_the_session_key() -> None:
    """RFC 7616 3.4.2: the A1 of -sess is made once, from the challenge's nonce."""
    session = DigestSession(
        "u",
        "p",
        Challenge("Digest", {"realm": "r", "nonce": "n1", "qop": "auth", "algorithm": "MD5-sess"}),
        cnonce="c",
    )
    session.use_nonce("n2")
    parameters = parse_parameters(session.authorization("GET", "/").partition(" ")[2])

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    a1 = h(f"{h('u:r:p')}:n1:c")
    assert parameters["response"] == h(f"{a1}:n2:00000001:c:auth:{h('GET:/')}")


# ------------------------------------------------------------------ who is asked, and when


def test_basic_and_bearer_are_sent_at_once_below_their_url(client: HttpClient) -> None:
    with scripted(always(lambda asked: OK)) as server:
        client.add_credentials(Uri.parse(server.url("/b")), "r", HttpClientBasicCredentials("u", "p"))
        client.add_credentials(Uri.parse(server.url("/b/t")), "r", HttpClientBearerCredentials("token"))
        expected = {
            "/": None,
            "/b": basic("u", "p"),
            "/b/x": basic("u", "p"),
            "/bx": None,
            "/b/t": "Bearer token",
            "/b/t/x": "Bearer token",
        }
        for path, authorization in expected.items():
            request = client.get_url(server.url(path))
            assert request.headers.value("authorization") == authorization
            request.close().read()
        client.close()


def test_the_users_own_authorization_stays(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientBasicCredentials("u", "p"))
        request = client.get_url(server.url())
        request.headers.set("authorization", "Mine x")
        request.close().read()
        client.close()
    assert server.asked[0].header("authorization") == "Mine x"


def test_credentials_in_the_url(client: HttpClient) -> None:
    with scripted(answering(OK, OK)) as server:
        for user_info in ("user:p%40ss", "only%20user"):
            client.get_url(f"http://{user_info}@127.0.0.1:{server.port}/").close().read()
        client.close()
    assert [asked.header("authorization") for asked in server.asked] == [
        basic("user", "p@ss"),
        basic("only user", ""),
    ]


def test_credentials_in_the_url_that_cannot_be_sent(client: HttpClient) -> None:
    with scripted(lambda peer: peer.is_ended()) as server:
        with pytest.raises(ValueError, match="has no colon"):
            client.get_url(f"http://us%3Aer:password@127.0.0.1:{server.port}/")
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_the_users_own_fields_go_before_the_librarys_in_a_redirect(client: HttpClient) -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n"
    with scripted(answering(moved, OK)) as proxy:
        client.find_proxy = lambda url: f"PROXY u:p@127.0.0.1:{proxy.port}"
        client.add_credentials("http://a.example/b", "r", HttpClientBasicCredentials("u", "p"))
        request = client.get_url("http://a.example/a")
        request.headers.set("authorization", "Mine x")
        request.headers.set("proxy-authorization", "Mine y")
        request.close().read()
        client.close()
    for asked in proxy.asked:
        assert (asked.header("authorization"), asked.header("proxy-authorization")) == ("Mine x", "Mine y")


def guarded(answers: dict[str | None, bytes]) -> Callable[[Asked], bytes]:
    """A server's answer by the Authorization it gets; a 401 for what it does not know."""
    return lambda asked: answers.get(asked.header("authorization"), answers[None])


def test_authenticate_is_asked_and_adds_credentials(client: HttpClient) -> None:
    calls = []

    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        calls.append((str(url), scheme, realm))
        client.add_credentials(url, "r", HttpClientBasicCredentials("u", "p"))
        return True

    client.authenticate = authenticate
    with scripted(always(guarded({None: challenge('Basic realm="r"'), basic("u", "p"): OK}))) as server:
        request = client.post_url(server.url("/x"))
        request.headers.set("x-mine", "1")
        request.write("body")
        assert request.close().read() == b"ok"
        assert calls == [(server.url("/x"), "Basic", "r")]
        assert client.get_url(server.url("/x")).close().read() == b"ok"
        assert len(calls) == 1
        client.close()


def test_a_retried_request_is_the_same_but_for_credentials(client: HttpClient) -> None:
    with scripted(answering(challenge('Digest realm="r", nonce="n", qop="auth"'), OK)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("u", "p"))
        request = client.post_url(server.url())
        request.headers.set("x-mine", "1")
        request.headers.set("content-type", "text/plain")
        request.write("body")
        request.close().read()
        client.close()
    first, second = server.asked
    assert (first.body, second.body, second.header("content-length")) == (b"body", b"body", "4")
    for name in ("x-mine", "content-type", "host", "user-agent"):
        assert second.header(name) == first.header(name) is not None
    assert (second.line, second.header("transfer-encoding")) == (first.line, None)


def test_authenticate_that_says_no(client: HttpClient) -> None:
    client.authenticate = lambda url, scheme, realm: False
    with scripted(answering(challenge('Basic realm="r"'))) as server:
        response = client.get_url(server.url()).close()
        assert (response.status_code, response.read()) == (401, b"who?")
        client.close()


def test_authenticate_that_says_yes_and_adds_nothing(client: HttpClient) -> None:
    client.authenticate = lambda url, scheme, realm: True
    with scripted(answering(challenge('Basic realm="r"'))) as server:
        response = client.get_url(server.url()).close()
        assert (response.status_code, response.read()) == (401, b"who?")
        client.close()


def test_authenticate_may_try_again(client: HttpClient) -> None:
    passwords = iter(range(1000))

    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        client.add_credentials(url, "r", HttpClientBasicCredentials("u", str(next(passwords))))
        return True

    client.authenticate = authenticate
    with scripted(always(guarded({None: challenge('Basic realm="r"'), basic("u", "3"): OK}))) as server:
        assert client.get_url(server.url()).close().read() == b"ok"
        assert next(passwords) == 4
        client.close()


def test_authenticate_that_always_says_yes(client: HttpClient) -> None:
    passwords = iter(range(1000))

    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        client.add_credentials(url, "r", HttpClientBasicCredentials("u", str(next(passwords))))
        return True

    client.authenticate = authenticate
    with scripted(always(lambda asked: challenge('Basic realm="r"'))) as server:
        response = client.get_url(server.url()).close()
        assert (response.status_code, response.read()) == (401, b"who?")
        client.close()


def test_an_exception_in_authenticate_is_the_users(client: HttpClient) -> None:
    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        raise LookupError("no password")

    client.authenticate = authenticate
    with scripted(answering(challenge('Basic realm="r"'))) as server:
        request = client.get_url(server.url())
        with pytest.raises(LookupError, match="no password"):
            request.close()
        assert "0 active" in repr(client)
        client.close()


@pytest.mark.parametrize(
    "texts, scheme",
    [
        (
            [
                'Basic realm="r", Digest realm="r", nonce="n", algorithm=MD5',
                'Digest realm="r", nonce="n", algorithm=SHA-256',
            ],
            "Digest",
        ),
        (['Basic realm="r", Bearer realm="r"'], "Bearer"),
        (['Negotiate, Basic realm="r"'], "Basic"),
        (['Digest realm="r", nonce="n", qop="auth-int", Basic realm="r"'], "Basic"),
        (["Negotiate"], "Negotiate"),
    ],
)
def test_the_strongest_scheme_is_asked_for(client: HttpClient, texts: list[str], scheme: str) -> None:
    asked_for = []

    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        asked_for.append(scheme)
        return False

    client.authenticate = authenticate
    fields = b"".join(f"www-authenticate: {text}\r\n".encode() for text in texts)
    with scripted(answering(EMPTY_401 + fields + b"\r\n")) as server:
        assert client.get_url(server.url()).close().status_code == 401
        client.close()
    assert asked_for == [scheme]


def test_the_strongest_credentials_answer(client: HttpClient) -> None:
    texts = (
        'Digest realm="r", nonce="n1", algorithm=MD5',
        'Digest realm="r", nonce="n2", algorithm=SHA-256',
        'Basic realm="r"',
    )
    fields = "".join(f"www-authenticate: {text}\r\n" for text in texts).encode()
    with scripted(answering(EMPTY_401 + fields + b"\r\n", OK)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("u", "p"))
        client.get_url(server.url()).close().read()
        client.close()
    value = server.asked[1].header("authorization")
    assert value is not None and value.startswith("Digest ") and "algorithm=SHA-256" in value


def test_a_challenge_is_answered_where_its_realm_matches(client: HttpClient) -> None:
    with scripted(always(guarded({None: challenge('Basic realm="two"'), basic("u2", "p"): OK}))) as server:
        url = Uri.parse(server.url())
        client.add_credentials(url, "one", HttpClientBasicCredentials("u1", "p"))
        client.add_credentials(url, "two", HttpClientBasicCredentials("u2", "p"))
        assert client.get_url(server.url()).close().read() == b"ok"
        # Those of the other realm were not refused: they are still there.
        request = client.get_url(server.url())
        assert request.headers.value("authorization") == basic("u1", "p")
        request.close().read()
        client.close()


def test_a_challenge_without_a_realm(client: HttpClient) -> None:
    with scripted(always(guarded({None: challenge("Bearer"), "Bearer t2": OK}))) as server:
        client.add_credentials(Uri.parse(server.url("/x")), "r", HttpClientBearerCredentials("t1"))
        client.add_credentials(Uri.parse(server.url("/")), "r", HttpClientBearerCredentials("t2"))
        assert client.get_url(server.url("/x")).close().read() == b"ok"
        client.close()


def test_credentials_can_be_replaced(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        for password in ("old", "new"):
            client.add_credentials(Uri.parse(server.url()), "r", HttpClientBasicCredentials("u", password))
        client.get_url(server.url()).close().read()
        client.close()
    assert server.asked[0].header("authorization") == basic("u", "new")


def test_the_librarys_credentials_are_made_anew_for_a_redirect(client: HttpClient) -> None:
    """What was for /private is not for /public, though it is the same server."""
    moved = b"HTTP/1.1 302 Found\r\nlocation: /public\r\ncontent-length: 0\r\n\r\n"
    with scripted(answering(moved, OK)) as server:
        client.add_credentials(Uri.parse(server.url("/private")), "r", HttpClientBasicCredentials("u", "p"))
        client.get_url(server.url("/private")).close().read()
        client.close()
    assert [asked.header("authorization") for asked in server.asked] == [basic("u", "p"), None]


def test_digest_follows_a_redirect(client: HttpClient) -> None:
    digest = DigestServer()

    def answer(asked: Asked) -> bytes:
        response = digest(asked)
        if response.startswith(b"HTTP/1.1 200") and asked.target == "/a":
            return b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n"
        return response

    with scripted(always(answer)) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("user", "pässword"))
        assert client.get_url(server.url("/a")).close().read() == b"ok"
        client.close()
    assert (digest.challenges, digest.counts) == (1, ["00000001", "00000002"])


def test_a_401_without_a_challenge(client: HttpClient) -> None:
    client.authenticate = lambda url, scheme, realm: True
    with scripted(answering(EMPTY_401 + b"\r\n")) as server:
        assert client.get_url(server.url()).close().status_code == 401
        client.close()


def test_a_407_from_no_proxy_is_the_users(client: HttpClient) -> None:
    client.authenticate_proxy = lambda host, port, scheme, realm: True
    raw = b"HTTP/1.1 407 Who Are You\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
    with scripted(answering(raw)) as server:
        assert client.get_url(server.url()).close().status_code == 407
        client.close()
