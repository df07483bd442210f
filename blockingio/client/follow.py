"""From a response to the request that it asks for: redirects, and challenges that can be answered.

Takes responses; gives the one that is left for the user.  Raises RedirectException where there are too many redirects
or they go round in a circle, HttpException for a Location that leads nowhere; and what sending a request raises.
"""

from __future__ import annotations

from collections.abc import Callable

from blockingio.client.auth import MOST_TRIES, StoredCredentials, ProtectionSpace
from blockingio.client.exchange import Exchange
from blockingio.client.prepared_request import EXPECTS_CONTENT
from blockingio.client.redirects import SEE_OTHER, carry_over
from blockingio.client.response import HttpClientResponse
from blockingio.errors import RedirectException


def follow(response: HttpClientResponse, on_exchange: Callable[[Exchange], None]) -> HttpClientResponse:
    """Send what the response asks for, and so on; ``on_exchange`` is told of each request before it goes."""
    tries_left = MOST_TRIES
    while response.status_code >= 300:
        exchange = _redirect(response)
        if exchange is None and tries_left:
            tries_left -= 1
            exchange = _answer_challenge(response)
        if exchange is None:
            break
        response = run(exchange, on_exchange)
    return response


def run(exchange: Exchange, on_exchange: Callable[[Exchange], None]) -> HttpClientResponse:
    """Send a request with the body that is kept of it; its response."""
    prepared = exchange.prepared
    body = prepared.body.whole() if prepared.body is not None else b""
    try:
        on_exchange(exchange)
        if body or prepared.method in EXPECTS_CONTENT:
            prepared.headers.set_trusted("content-length", str(len(body)))
        prepared.headers.freeze("the request has been sent")
        exchange.send(prepared.head() + body)
        return exchange.response()
    except BaseException:
        exchange.give_up()
        raise


def _redirect(response: HttpClientResponse) -> Exchange | None:
    """The next request where the response is a redirect to be followed without asking."""
    prepared = response.prepared
    if not (prepared.follow_redirects and response.is_redirect):
        return None
    if prepared.is_body_lost and response.status_code != SEE_OTHER:
        return None  # a GET with a body, say, which is not to arrive there without
    location = next(iter(response.headers.get_all("location")), "")
    if not location:
        return None  # an empty one would lead here again: browsers, too, show the response
    response.dispose()
    if len(prepared.redirects) >= prepared.max_redirects:
        raise RedirectException(f"there are more than {prepared.max_redirects} redirects", prepared.redirects)
    exchange: Exchange = prepared.client.begin(prepared.redirected(response.status_code, location))
    return exchange


def _answer_challenge(response: HttpClientResponse) -> Exchange | None:
    """The same request with credentials; None where there are none, or where its body is lost.

    Also then it is found out what credentials there are, so that the next request has them at once.
    """
    if response.status_code not in (401, 407):
        return None
    prepared, headers = response.prepared, response.headers
    client, proxy = prepared.client, prepared.proxy
    entry: StoredCredentials | None = None
    proxy_entry: StoredCredentials | None = None
    if response.status_code == 401:
        entry = client.credentials.answer_or_ask(
            ProtectionSpace.of(prepared.uri), headers.get_all("www-authenticate"), prepared.attempt,
            client.authenticate, prepared.uri)
    elif proxy is not None and prepared.is_absolute:
        proxy_entry = client.proxy_credentials.answer_or_ask(
            ProtectionSpace.of_proxy(proxy.host, proxy.port), headers.get_all("proxy-authenticate"),
            prepared.proxy_attempt, client.authenticate_proxy, proxy.host, proxy.port)
    if entry is None and proxy_entry is None or prepared.is_body_lost:
        return None
    response.dispose()
    new = prepared.again()
    carry_over(new.headers, is_trusted=True, has_content=True)
    exchange: Exchange = client.begin(new, entry=entry, proxy_entry=proxy_entry)
    return exchange
