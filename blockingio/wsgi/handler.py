"""WsgiHandler: requests for a WSGI application (PEP 3333).

With ``server.for_each`` the application is called on the connection's own thread: nothing is handed from thread to
thread.  ``workers`` are slots: such a thread has one while the application computes, and none while it waits for its
client, be it for a head, or for a piece of an upload or a download.  So at most ``workers`` calls run at once, and a
slow client holds none of them.  Called by anything else, ``listen`` or a loop, the handler works on the thread that
calls it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from blockingio.errors import BadMessage
from blockingio.server.request import HttpRequest
from blockingio.server.slots import Slots
from blockingio.wsgi.answer import WsgiAnswer
from blockingio.wsgi.environ import Environs

log = logging.getLogger("blockingio")


class WsgiHandler:
    """``server.for_each(WsgiHandler(application), workers=8)``

    ``script_name`` is the path that the application is mounted at, "" or the like of "/x", else ValueError; what is
    not below it gets 404.  ``multiprocess`` is what the application is told by wsgi.multiprocess.

    The answer's fields are the application's, with Date, and Server where the server has one and it names none:
    ``default_response_headers`` and ``auto_compress`` do not apply.  An application that breaks the PEP gets an
    exception that names the rule: uncaught it is logged, and answered with 500; once the head has gone, the
    connection is cut.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], *, script_name: str = "",
                 multiprocess: bool = False) -> None:
        if not callable(application):
            raise TypeError(f"a WSGI application is something to call, found {application!r}")
        self._application = application
        self._environs = Environs(script_name, multiprocess)

    def __call__(self, request: HttpRequest) -> None:
        """Answer one request, on this thread."""
        self.work_on(request, None)

    def work_on(self, request: HttpRequest, slots: Slots | None) -> None:
        """Answer one request; ``slots``: this thread has one, and leaves it while it waits for its client."""
        environ = self._environs.of(request, slots)
        if environ is None:
            _refuse(request)
            return
        answer = WsgiAnswer(request, slots)
        result: Any = None
        try:
            result = self._application(environ, answer.start_response)
            answer.send(result)
        except BaseException as error:
            _close_after_error(result)
            if isinstance(error, BadMessage) or not isinstance(error, Exception) or not request.has_failed:
                answer.abort_if_begun(error)
                raise
            # The application has made an error of its own of what a client did.
            raise BadMessage(f"the request body could not be read: {error}", request.response.status_code,
                             *request.body_fault) from error
        close = getattr(result, "close", None)
        if close is not None:
            close()


def _close_after_error(result: Any) -> None:
    """What it raises is logged here: the first error is the one that goes on."""
    try:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    except Exception:
        log.exception("close() of what an application had returned failed, behind the error that is told next")


def _refuse(request: HttpRequest) -> None:
    request.response.status_code = 404
    request.response.write("404 Not Found\n")
    request.response.close()
