"""Uploads, received on threads of their own: a client that sends slowly holds up no other request.

Takes a request and the open directory that it is for, and closes both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from errno import EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, ENOSPC, EROFS
from functools import partial

from blockingio.cli.upload import Saved, Uploads
from blockingio.cli.upload_refusal import NO_BOUNDARY, NO_FILE
from blockingio.cli.upload_wish import Wish
from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.multipart import MimeMultipartTransformer
from blockingio.http_server.safe_open import Opened
from blockingio.server.state import log
from blockingio.server.request import HttpRequest
from blockingio.server.thread_pool import ThreadPool
from blockingio.wire.limits import FILE_RECEIVE_SIZE

_FORBIDDEN = 403
_CONFLICT = 409
_PRECONDITION_FAILED = 412
_CONTENT_TOO_LARGE = 413
_SERVICE_UNAVAILABLE = 503
_INSUFFICIENT_STORAGE = 507

_STATUS_OF = dict.fromkeys((ENOSPC, EDQUOT, EFBIG), _INSUFFICIENT_STORAGE) | dict.fromkeys(
    (EMFILE, ENFILE, ENOMEM), _SERVICE_UNAVAILABLE) | {EROFS: _FORBIDDEN}

# Bytes that a form has around a file: two boundaries of up to 70 characters, and three short fields with a name of
# up to 255 characters.
_AROUND_A_FILE = 1024

Answer = Callable[[HttpRequest, Sequence[Saved]], object]


class UploadReceiver:
    """Any number of threads may give it requests, of at most ``most`` bytes of files each."""

    def __init__(self, uploads: Uploads, most: int, refuse: Callable[[HttpRequest, int, str], object]) -> None:
        """``refuse`` answers a request with an error's status and a reason, or "", whatever became of it before."""
        self._uploads = uploads
        self._most = most
        self._refuse = refuse
        self._threads = ThreadPool("blockingio upload")
        self._threads.close()  # none waits for the next upload, which may never come

    def take(self, request: HttpRequest, directory: Opened, wish: Wish, answer: Answer) -> None:
        """Save what a request brings, then ``answer``, on another thread; does not wait for that.

        What says itself that it is too large is refused here, before any of it is read (413), and so is what cannot
        get its name.
        """
        status = self._refusal(request, directory.descriptor, wish)
        if not status:
            try:
                self._threads.run(partial(self._receive, request, directory, wish, answer))
                return
            except Exception:  # RuntimeError, MemoryError: no thread
                status = _SERVICE_UNAVAILABLE
        directory.close()
        self._refuse(request, status, "")

    def _refusal(self, request: HttpRequest, directory: int, wish: Wish) -> int:
        """Why it need not come at all; 0: there is no reason."""
        if request.content_length > self._most_of(wish):
            return _CONTENT_TOO_LARGE
        if wish.is_exact and wish.name is not None:
            if self._uploads.is_taken(wish.name, directory):
                return _taken(request)
            if "if-match" in request.headers:  # it is to be sent over another (RFC 9110 13.1.1)
                return _PRECONDITION_FAILED
        return 0

    def _most_of(self, wish: Wish) -> int:
        return self._most + (_AROUND_A_FILE if wish.name is None else 0)

    def _receive(self, request: HttpRequest, directory: Opened, wish: Wish, answer: Answer) -> None:
        try:
            with closing(directory):
                saved = self._save(request, directory.descriptor, wish)
            if isinstance(saved, BadMessage):
                self._refuse(request, saved.status, saved.message)
            else:
                answer(request, saved)
        except Exception:
            log.exception("an upload failed")
            self._refuse(request, 500, "")

    def _save(self, request: HttpRequest, directory: int, wish: Wish) -> Sequence[Saved] | BadMessage:
        """What was saved, where that were all and there were some; else why not, "" for what the status says."""
        try:
            if wish.name is not None:
                return [self._uploads.save_body(request, wish.name, directory, is_exact=wish.is_exact)]
            if not wish.boundary:
                return BadMessage(NO_BOUNDARY)
            parts = MimeMultipartTransformer(wish.boundary).bind(self._body_of(request, wish))
            return self._uploads.save(parts, directory) or BadMessage(NO_FILE)
        except BadMessage as error:
            return BadMessage("", error.status) if error.status == _CONTENT_TOO_LARGE else error
        except HttpException:
            return BadMessage("")
        except ValueError:
            return BadMessage("")  # a boundary that can be none
        except PermissionError:
            return BadMessage("", _FORBIDDEN)
        except FileExistsError:
            return BadMessage("", _taken(request))  # in a form: thousands of that name
        except OSError as error:
            if error.errno in _STATUS_OF:
                return BadMessage("", _STATUS_OF[error.errno])
            raise

    def _body_of(self, request: HttpRequest, wish: Wish) -> Iterator[bytes]:
        """In its pieces; a chunked one does not say before how large it is."""
        most = left = self._most_of(wish)
        for chunk in request.pieces(FILE_RECEIVE_SIZE):
            left -= len(chunk)
            if left < 0:
                raise BadMessage(f"the form has over {most} bytes", _CONTENT_TOO_LARGE)
            yield chunk


def _taken(request: HttpRequest) -> int:
    """The status where a name is taken; a client may have asked for that one (RFC 9110 13.1.2)."""
    is_asked_for = request.method == "PUT" and request.headers.get("if-none-match") == "*"
    return _PRECONDITION_FAILED if is_asked_for else _CONFLICT
