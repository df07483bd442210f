"""VirtualDirectory: static files below a root.

A URI's path becomes names (paths.py), the names an open file or directory (safe_open.py), the
file an answer (file_response.py), the directory a page (listing.py) or whatever its owner makes
of it.  Everything from the opening on goes by descriptor, never again by path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from errno import ELOOP, EMLINK, ENAMETOOLONG, ENODEV, ENOENT, ENOTDIR, ENXIO
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from blockingio.http_server.conditional import CONDITIONAL_FIELDS
from blockingio.http_server.file_cache import FileCache, KeptFile
from blockingio.http_server.file_response import respond
from blockingio.http_server.listing import Entry, Item, View, begins_with_dot, entries_of, read_items, select
from blockingio.http_server.listing_cache import ListingCache
from blockingio.http_server.listing_page import PLAIN, Extra, listing_json, listing_page
from blockingio.http_server.mime import coding_of_name
from blockingio.http_server.page import Script, content_security_policy, error_page, sentence_for
from blockingio.http_server.paths import decode_path, encode_path
from blockingio.http_server.precompressed import ENDINGS, choose, neighbours_of
from blockingio.http_server.representation import SMALL_FILE, Representation, media_type_of
from blockingio.http_server.safe_open import EXHAUSTED, Opened, open_below
from blockingio.server.compression import weights
from blockingio.stream.stream import Stream, StreamSubscription
from blockingio.values.header_store import FRAMING_NAMES
from blockingio.values.header_value import ContentType
from blockingio.values.kept import kept
from blockingio.values.known_attributes import KnownAttributes

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest

_ALLOW = "GET, HEAD"

# What it says of a link that leads nowhere, out of the root, or to what is neither file nor directory.
_NOTHING_THERE = frozenset((ENOENT, ENOTDIR, ELOOP, EMLINK, ENAMETOOLONG, ENXIO, ENODEV))

_SERVICE_UNAVAILABLE = 503

# What makes the answer to a GET another one than the last.
_SPECIAL_FIELDS = CONDITIONAL_FIELDS | {"range"}


class VirtualDirectory(KnownAttributes):
    """Static files below a root, safely.

    Never serves outside ``root`` while ``jail_root`` is set, whatever the URI's encoding or the links on disk.
    ``path_prefix`` is what paths have to begin with; it is left out below the root.  The root need not exist: what is
    not there is 404.  A precompressed ``name.br``, ``name.zst`` or ``name.gz`` beside ``name`` is sent to clients that
    take that coding.  Any number of threads may serve from one object.  Follows package:http_server's VirtualDirectory.

    ``allow_directory_listing``: a directory without a ``directory_handler`` is listed, else it is 404; False until set.
    ``directory_handler``: called with a directory's path and the request, which it answers; None until set.
    ``error_page_handler``: called with a request that is refused, whose response has its status; it writes the page.
    ``jail_root``: links and ``serve_file`` do not lead outside the root; True until switched off.
    ``follow_links``: links are followed, while ``jail_root`` is set only to what is below the root; True until switched
    off.  Where the system cannot see to that (Windows has no os.open with dir_fd and O_NOFOLLOW) none is followed while
    ``jail_root`` is set.

        directory = VirtualDirectory("public")
        directory.allow_directory_listing = True
        server.for_each(directory.serve_request, workers=8)
    """

    root: Path
    allow_directory_listing: bool
    follow_links: bool
    jail_root: bool
    directory_handler: Callable[[Path, HttpRequest], object] | None
    error_page_handler: Callable[[HttpRequest], object] | None

    def __init__(self, root: str | Path, *, path_prefix: str | None = None) -> None:
        """ValueError for a ``path_prefix`` with ".." or what else can be no name in it."""
        self.root = Path(root)
        self.allow_directory_listing = False
        self.follow_links = self.jail_root = True
        self.directory_handler = None
        self.error_page_handler = None
        self._add_to_listings(PLAIN)
        decoded = decode_path(path_prefix or "")
        if decoded is None:
            raise ValueError(f"expected a path as /static for path_prefix, found {path_prefix!r}")
        self._prefix = decoded[0]
        self._cache = FileCache()
        self._listings = ListingCache()

    def __repr__(self) -> str:
        prefix = f" at {encode_path(self._prefix)}" if self._prefix else ""
        return f"<VirtualDirectory {str(self.root)!r}{prefix}>"

    def _add_to_listings(self, extra: Extra) -> None:
        """Have all listings show this too; call it before anything is served."""
        self._extra = extra
        self._script = extra.script()

    def serve(self, requests: Stream[HttpRequest]) -> StreamSubscription[HttpRequest]:
        """Answer all of a stream's requests, on a thread of its own."""
        return requests.listen(self.serve_request)

    def serve_request(self, request: HttpRequest) -> None:
        """Answer one request with what its path leads to."""
        if request.method not in ("GET", "HEAD"):
            request.response.headers.set("allow", _ALLOW)
            self._refuse(request, 405)
            return
        kept = self._cache.find(request.target, self.root, request.received_at)
        if kept is not None:
            self._serve_kept(kept, request)
            return
        decoded = decode_path(request.uri.path)
        prefix = self._prefix
        if decoded is None or decoded[0][:len(prefix)] != prefix:
            self._refuse(request, 404)
            return
        names, is_directory = decoded[0][len(prefix):], decoded[1]
        opened = self._open(names, request)
        if opened is None:
            return
        with closing(opened):
            mode = opened.stat.st_mode
            if stat.S_ISREG(mode) and not is_directory:
                self._serve_opened(opened, names, request, "" if request.uri.has_query else request.target)
            elif not stat.S_ISDIR(mode):
                self._refuse(request, 404)
            elif is_directory:
                self._serve_directory(opened, names, request)
            else:
                # Made anew from the names: it begins with one slash, so it stays on this host.
                query = f"?{request.uri.query}" if request.uri.has_query else ""
                request.response.redirect(encode_path(decoded[0]) + query, status=301)

    def serve_file(self, file: str | Path, request: HttpRequest) -> None:
        """Answer a request with this file, whatever its path and method are.

        For handlers: where response.status_code is no longer 200 (an error page), it stays, and the file is sent whole.
        404 where it is no readable file, or outside the root and ``jail_root`` is set or ``follow_links`` is not.
        """
        names = self._names_of(Path(file))
        if names is None:
            self._refuse(request, 404)
            return
        opened = self._open(names, request)
        if opened is None:
            return
        with closing(opened):
            if stat.S_ISREG(opened.stat.st_mode):
                self._serve_opened(opened, names, request)
            else:
                self._refuse(request, 404)

    def _names_of(self, file: Path) -> tuple[str, ...] | None:
        """The way to a file from the root; None where it is not below it, and has to be."""
        file = file.absolute()
        if ".." in file.parts:
            file = Path(os.path.realpath(file))
        for root in (self.root.absolute(), Path(os.path.realpath(self.root))):
            if file.is_relative_to(root):
                return file.relative_to(root).parts
        # As one "name" that is absolute, which open_below joins to the root: it has no jail to walk in then.
        return (str(file),) if self.follow_links and not self.jail_root else None

    def _open(self, names: Sequence[str], request: HttpRequest) -> Opened | None:
        """What the names lead to; None where that is refused, and has been."""
        try:
            return self._open_below(names)
        except PermissionError:
            status = 403
        except OSError as error:
            status = _SERVICE_UNAVAILABLE if error.errno in EXHAUSTED else 404
        except ValueError:
            status = 404  # NUL, or what the file system's encoding cannot write
        self._refuse(request, status)
        return None

    def _open_below(self, names: Sequence[str]) -> Opened:
        return open_below(str(self.root), names, follow_links=self.follow_links, jail=self.jail_root)

    def _serve_opened(self, opened: Opened, names: Sequence[str], request: HttpRequest, target: str = "") -> None:
        """Answer with an open regular file; it may be kept for this target, "" for none."""
        now = time()
        media_type = media_type_of(names[-1], opened)
        plain = Representation(opened, media_type, coding_of_name(names[-1]), now)
        with ExitStack() as stack:
            others = [(coding, stack.enter_context(closing(other))) for coding, other in self._open_neighbours(names)]
            neighbours = [Representation(other, media_type, coding, now) for coding, other in others]
            if target and opened.direct and all(other.direct for _, other in others):
                path = os.path.join(self.root, *names)
                files = [(path, opened.stat), *((path + ENDINGS[coding], other.stat) for coding, other in others)]
                self._keep(target, names, plain, neighbours, files)
            self._answer(plain, neighbours, request)

    def _answer(self, plain: Representation, neighbours: Sequence[Representation], request: HttpRequest) -> None:
        status = respond(request, choose(plain, neighbours, request.headers), bool(neighbours))
        if status:
            self._refuse(request, status)

    def _keep(self, target: str, names: Sequence[str], plain: Representation, neighbours: Sequence[Representation],
              files: Sequence[tuple[str, os.stat_result]]) -> None:
        """``files`` are those of all of them, each with its stat when it was opened."""
        if all(content.size <= SMALL_FILE for content in (plain, *neighbours)):
            directories = [os.path.join(self.root, *names[:depth]) for depth in range(len(names))]
            self._cache.keep(target, self.root, directories, plain, neighbours, files)

    def _serve_kept(self, kept: KeptFile, request: HttpRequest) -> None:
        """Answer from memory; a plain GET with fields and bytes that were made for another one like it."""
        response = request.response
        neighbours = kept.neighbours
        asked = request.headers
        begun = response.headers_so_far
        if not (response.is_usual and _SPECIAL_FIELDS.isdisjoint(asked.by_name)
                and FRAMING_NAMES.isdisjoint(begun.by_name)):
            self._answer(kept.plain, neighbours, request)
            return
        content = choose(kept.plain, neighbours, asked) if neighbours else kept.plain
        kept.answer(content, begun, asked if response.may_be_compressed else None).send(response)

    def _open_neighbours(self, names: Sequence[str]) -> Iterator[tuple[str, Opened]]:
        """The precompressed neighbours of a file that can be served, each with its coding."""
        *directory, name = names
        for neighbour, coding in neighbours_of(name):
            # Most files have none, and this costs less than a failed open.  What it says of links that
            # lead outside does not matter: open_below decides.
            if not os.access(os.path.join(self.root, *directory, neighbour), os.R_OK):
                continue
            try:
                opened = self._open_below((*directory, neighbour))
            except OSError:
                continue
            if stat.S_ISREG(opened.stat.st_mode):
                yield coding, opened
            else:
                opened.close()

    def _serve_directory(self, directory: Opened, names: Sequence[str], request: HttpRequest) -> None:
        if self.directory_handler is not None:
            self.directory_handler(Path(self.root, *names), request)
        elif self.allow_directory_listing:
            self._list(directory, names, request)
        else:
            self._refuse(request, 404)

    def _is_hidden(self, name: str) -> bool:
        """Whether a listing leaves this name out."""
        return begins_with_dot(name)

    def _list(self, directory: Opened, names: Sequence[str], request: HttpRequest) -> None:
        """As a page, or as JSON where that is asked for; what is in the query says in which order."""
        parameters = request.uri.query_parameters
        is_json = parameters.get("format") == "json" or prefers_json(request.headers.get("accept", ""))
        folder = directory.stat
        # Which directory it is, for another one may have got its name; and the minute, for a page says what is today's.
        key = (folder.st_dev, folder.st_ino, self.root, tuple(names), request.uri.query, is_json, self.follow_links,
               self.jail_root, int(time() // 60))

        def make(items: Sequence[Item]) -> str:
            view = View.parse(parameters)
            listing = select(entries_of(items, self._is_hidden), view)
            if is_json:
                return listing_json(names, listing, view)
            root = os.path.basename(os.path.realpath(self.root))
            return listing_page(root, names, listing, view, self._extra, self._script)

        text = self._listings.text(key, request.received_at, lambda: self._items(directory, names), make)
        request.response.headers.add("vary", "Accept")
        if is_json:
            self._send_json(request, text)
        else:
            self._send_page(request, text, self._script)

    def _entries(self, directory: Opened, names: Sequence[str]) -> list[Entry]:
        """What is in an open directory, and may be seen."""
        return entries_of(self._items(directory, names), self._is_hidden)

    def _items(self, directory: Opened, names: Sequence[str]) -> list[Item]:
        def look_behind(name: str) -> os.stat_result | None:
            try:
                with closing(self._open_below((*names, name))) as opened:
                    return opened.stat
            except OSError as error:
                if error.errno in _NOTHING_THERE:
                    return None
                raise

        place = directory.descriptor if directory.descriptor >= 0 else os.path.join(self.root, *names)
        return read_items(place, look_behind, self._is_hidden)

    def _refuse(self, request: HttpRequest, status: int, sentence: str = "") -> None:
        """``sentence`` says why, "" for what the status says by itself."""
        response = request.response
        # A handler that was called for an error may meet one itself: that one gets the small page.
        if response.status_code < 400:
            response.status_code = status
            if self.error_page_handler is not None:
                self.error_page_handler(request)
                return
        self._send_error(request, sentence or self._sentence_for(response.status_code, request))

    def _sentence_for(self, status: int, request: HttpRequest) -> str:
        return sentence_for(status, request)

    def _send_error(self, request: HttpRequest, sentence: str, link: str | None = None) -> None:
        """The page for the status that is set; ``link`` None: to the top, "": none."""
        response = request.response
        if link is None:
            link = encode_path(self._prefix)
        self._send_page(request, error_page(
            f"{int(response.status_code)} {response.reason_phrase}", sentence, link,
            "Back to the list" if self.allow_directory_listing else "Back to the start"))

    def _send_page(self, request: HttpRequest, html: str, script: Script | None = None) -> None:
        self._send_html(request, html, content_security_policy(script))

    def _send_html(self, request: HttpRequest, html: str, policy: str) -> None:
        """``policy`` is the page's Content-Security-Policy."""
        request.response.headers.set("content-security-policy", policy)
        _send_text(request, html, ContentType.HTML)

    def _send_json(self, request: HttpRequest, text: str) -> None:
        _send_text(request, text, ContentType.JSON)


def _send_text(request: HttpRequest, text: str, content_type: ContentType) -> None:
    response = request.response
    response.headers.content_type = content_type
    response.write(text)
    response.close()


@kept(64, 256)  # what browsers and programs send: a handful
def prefers_json(accept: str) -> bool:
    """Whether Accept names application/json, with a weight, and no page (RFC 9110 12.5.1)."""
    wanted = {name for name, weight in weights(accept).items() if weight > 0}
    return "application/json" in wanted and wanted.isdisjoint(("text/html", "application/xhtml+xml"))
