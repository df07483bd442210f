"""What the command line serves: a VirtualDirectory with an index, a fallback, credentials and uploads; or a letterbox,
that takes files and shows none."""

from __future__ import annotations

import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from blockingio.cli.addresses import url_towards
from blockingio.cli.cache_times import CacheTimes
from blockingio.cli.downloads import Downloads
from blockingio.cli.folder_zip import LINK, FolderZips
from blockingio.cli.permission import OwnHosts, is_own_page, knows
from blockingio.cli.reload import Reloader
from blockingio.cli.reload_script import RELOAD_PATH, TAG, page_with_script, with_script_allowed
from blockingio.cli.upload import Saved, Uploads, is_temporary
from blockingio.cli.upload_page import Letterbox, receipt_page, saved_json, upload_form
from blockingio.cli.upload_receiver import UploadReceiver
from blockingio.cli.upload_refusal import (
    HAND_IN_AT_TOP, NO_PUT, NOT_WELL_KNOWN, OTHER_PAGE, hidden_name, not_taken, sentence_of_upload, wrong_target)
from blockingio.cli.upload_wish import is_file_itself, wish_of
from blockingio.errors import BadMessage
from blockingio.http_server.file_response import respond
from blockingio.http_server.listing import begins_with_dot
from blockingio.http_server.listing_page import PLAIN
from blockingio.http_server.paths import decode_path, encode_name, encode_path
from blockingio.http_server.precompressed import neighbours_of
from blockingio.http_server.representation import media_type_of
from blockingio.http_server.safe_open import Opened
from blockingio.http_server.virtual_directory import VirtualDirectory, prefers_json
from blockingio.server.compression import weights
from blockingio.server.request import HttpRequest
from blockingio.server.state import log
from blockingio.server.workers import answer_error
from blockingio.values.percent import decode_lenient

INDEX = "index.html"
WELL_KNOWN = ".well-known"

# Bytes of an upload (1 GiB).
MOST_UPLOADED = 1 << 30

# Statuses of answers that no change of a file would change.
_ABOUT_THE_CLIENT = (401, 421)

# Seconds for which a browser need not ask again before a request of another origin.
_PREFLIGHT_MAX_AGE = 600


class SiteOptions(NamedTuple):
    """How the directory is served; see the command's help."""

    listing: bool = True
    index_page: bool = True
    spa: bool = False
    cors: bool = False
    cache: int | None = None  # seconds; None: browsers ask each time whether they have the newest
    cache_types: tuple[tuple[str, int], ...] = ()  # the same of media types, as ("image/*", 3600)
    upload: bool = False
    drop: bool = False  # take uploads at the top, and do nothing else
    max_upload: int = MOST_UPLOADED  # bytes of the files of one request
    auth: str | None = None  # USER:PASSWORD
    upload_auth: str | None = None  # the same for uploads; None: auth is for them as well
    dotfiles: bool = False  # serve and list what begins with a dot
    zip: bool = True  # folders that are listed can be downloaded as a ZIP
    hosts: tuple[str, ...] = ()  # hosts that requests may be for, too
    reload: bool = False  # pages are told when a file that they were made of has changed
    headers: frozenset[str] = frozenset()  # in lower case: names that the server's default headers decide


class Site(VirtualDirectory):
    """``handle`` answers every request; any number of threads may call it."""

    def __init__(self, root: str | Path, options: SiteOptions, downloads: Downloads | None = None) -> None:
        """``downloads`` is told of every answer, where they are counted."""
        super().__init__(root)
        self._reloader = Reloader(self._open_below) if options.reload else None
        self._downloads = downloads
        self._options = options
        self._takes_files = options.upload or options.drop
        self.allow_directory_listing = options.listing and not options.drop
        extra = upload_form(options.max_upload) if options.upload else PLAIN
        self._add_to_listings(extra._replace(form=(LINK if options.zip else "") + extra.form))
        self._letterbox = Letterbox(options.max_upload) if options.drop else None
        self._zips = FolderZips(self._open_below, self._entries, self._refuse)
        methods = ["GET", "HEAD"]
        if self._takes_files:
            methods.append("POST")
        if options.upload:
            methods.append("PUT")  # not into a letterbox: that a name is taken would tell what is in it
        if options.cors:
            methods.append("OPTIONS")
        self._methods = ", ".join(methods)
        self._hosts = OwnHosts(options.hosts)
        self._is_gone = False  # by any thread, in one step: at worst a line is written twice
        self._uploads = Uploads(self._is_reserved, most=options.max_upload, hashes=options.drop)
        self._receiver = UploadReceiver(self._uploads, options.max_upload, self._fail)
        # Fields that answers begin with, but for those that stand in the server's default headers as the user wants.
        self._for_all: dict[str, str] = {}
        self._for_files: dict[str, str] = {}
        if options.cors:
            self._for_all |= {"access-control-allow-origin": "*", "access-control-expose-headers": "*"}
        self._cache_times = CacheTimes(options.cache, options.cache_types)
        self._for_files["cache-control"] = self._cache_times.default
        for name in options.headers:
            self._for_all.pop(name, None)
            self._for_files.pop(name, None)

    def let_go(self) -> None:
        """The end has begun: what would go on until the client leaves ends now.  Idempotent."""
        if self._reloader is not None:
            self._reloader.close()

    def close(self) -> None:
        """The program ends: no upload goes on, and none leaves half a file."""
        self.let_go()
        self._uploads.close()

    def handle(self, request: HttpRequest) -> None:
        """Answer a request, whatever happens."""
        try:
            self._handle(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.target)
            self._fail(request, 500)

    def _handle(self, request: HttpRequest) -> None:
        options = self._options
        headers = request.response.headers
        if not self._hosts.has(request):
            self._refuse_host(request)
            return
        for name, value in self._for_all.items():
            headers.set(name, value)
        if options.cors and request.method == "OPTIONS":
            self._answer_preflight(request)
            return
        is_upload = self._is_upload(request)
        is_apart = is_upload and options.upload_auth is not None
        auth = options.upload_auth if is_apart else options.auth
        if auth is not None and not knows(auth, request):
            realm = "uploads" if is_apart else "files"
            headers.set("www-authenticate", f'Basic realm="{realm}", charset="UTF-8"')
            self._refuse(request, 401)
        elif is_upload:
            self._receive(request)
        elif self._reloader is not None and request.uri.path == RELOAD_PATH:
            self._reloader.take(request)
        else:
            for name, value in self._for_files.items():
                headers.set(name, value)
            if self._cache_times.by_type:
                self._set_cache_time(request, request.uri.path)
            if self._downloads is not None:
                self._downloads.follow(request)
            if self._letterbox is None:
                self.serve_request(request)
            else:
                self._show_letterbox(self._letterbox, request)

    def _is_upload(self, request: HttpRequest) -> bool:
        return self._takes_files and request.method in ("POST", "PUT")

    def _show_letterbox(self, letterbox: Letterbox, request: HttpRequest) -> None:
        """At the top alone; all else is 404, so that no request tells what is there."""
        if request.method not in ("GET", "HEAD"):
            self._refuse(request, 405)
        elif decode_path(request.uri.path) != ((), True):
            self._refuse(request, 404)
        else:
            self._send_page(request, letterbox.html, letterbox.script)

    # ---------------------------------------------------------------- files

    def _set_cache_time(self, request: HttpRequest, path: str) -> None:
        """That of what is at a path, unless the user has said it of everything."""
        if "cache-control" in self._for_files:
            request.response.headers.set("cache-control", self._cache_times.at(path))

    def _is_hidden(self, name: str) -> bool:
        return is_temporary(name) or (is_dotfile(name) and not self._options.dotfiles)

    def _is_hidden_path(self, names: Sequence[str]) -> bool:
        # What any client may ask for has its place at the top (RFC 8615).
        return any(map(self._is_hidden, names[1:] if names[:1] == (WELL_KNOWN,) else names))

    def _open(self, names: Sequence[str], request: HttpRequest) -> Opened | None:
        if self._is_hidden_path(names):
            self._refuse(request, 404)
            return None
        return super()._open(names, request)

    def _open_neighbours(self, names: Sequence[str]) -> Iterator[tuple[str, Opened]]:
        """None where files are uploaded: one could be put beside another, and so be sent in its place."""
        return iter(()) if self._takes_files else super()._open_neighbours(names)

    def _serve_directory(self, directory: Opened, names: Sequence[str], request: HttpRequest) -> None:
        options = self._options
        wanted = request.uri.query_parameters.get("zip") if options.zip and options.listing else None
        # With a value, which a page may have a use for, it is ours where there is no page.
        if wanted != "" and options.index_page and self._serve_if_file((*names, INDEX), request):
            return
        if wanted is None:
            super()._serve_directory(directory, names, request)
        else:
            self._zips.send(request, names, names[-1] if names else os.path.basename(os.path.realpath(self.root)))

    def _refuse(self, request: HttpRequest, status: int, sentence: str = "") -> None:
        response = request.response
        if status == 404 and self._options.spa and request.method in ("GET", "HEAD"):
            response.headers.add("vary", "Accept")
            if _wants_page(request):
                self._set_cache_time(request, "/")
                if self._serve_if_file((INDEX,), request):
                    return
        if status == 404:
            self._say_if_gone()
        # The one from here, not the user's: an error may be over the next moment.
        if "cache-control" in self._for_files and "cache-control" in response.headers:
            response.headers.remove_all("cache-control")
        if status == 405:
            response.headers.set("allow", self._methods)
        super()._refuse(request, status, sentence)

    def _fail(self, request: HttpRequest, status: int, reason: str = "") -> None:
        """``_refuse`` whatever became of the answer; never raises.  ``reason``: why an upload is no right one."""
        try:
            self._refuse(request, status, reason and not_taken(request, reason))
        except Exception:  # an answer has begun
            answer_error(request, status)

    def _send_error(self, request: HttpRequest, sentence: str, link: str | None = None) -> None:
        """As JSON for a program that has sent something."""
        if not (self._is_upload(request) and _wants_json(request)):
            super()._send_error(request, sentence, link)
            return
        status = int(request.response.status_code)
        self._send_json(request, json.dumps({"status": status, "message": sentence}, ensure_ascii=False) + "\n")

    def _sentence_for(self, status: int, request: HttpRequest) -> str:
        if self._is_upload(request):
            return sentence_of_upload(status, request, self._options.max_upload)
        return super()._sentence_for(status, request)

    def _say_if_gone(self) -> None:
        """A line in the log when the directory itself is no longer there, and not again until it has come back."""
        is_gone = not self.root.is_dir()
        if is_gone and not self._is_gone:
            log.warning("%s is gone: everything is 404 until it is there again", self.root)
        self._is_gone = is_gone

    def _serve_if_file(self, names: Sequence[str], request: HttpRequest) -> bool:
        try:
            opened = self._open_below(names)
        except OSError:
            return False
        with closing(opened):
            if not stat.S_ISREG(opened.stat.st_mode):
                return False
            self._serve_opened(opened, names, request)
        return True

    # ---------------------------------------------------------------- pages that reload

    def _serve_opened(self, opened: Opened, names: Sequence[str], request: HttpRequest, target: str = "") -> None:
        if self._reloader is None:
            super()._serve_opened(opened, names, request, target)
            return
        file = os.path.join(self.root, *names)
        page = page_with_script(opened, media_type_of(names[-1], opened))
        if page is None:
            neighbours = [os.path.join(self.root, *names[:-1], name) for name, _ in neighbours_of(names[-1])]
            self._reloader.watch_file(request, [file, *neighbours], opened.stat)
            super()._serve_opened(opened, names, request)  # kept for no target: each time it is served it is watched
            return
        self._reloader.watch_file(request, [file], opened.stat)
        self._allow_script(request)
        status = respond(request, page, False)
        if status:
            self._refuse(request, status)

    def _list(self, directory: Opened, names: Sequence[str], request: HttpRequest) -> None:
        # Where files are uploaded the page shows by itself what has come, and how far the others are.
        if self._reloader is not None and not self._takes_files:
            self._reloader.watch_names(request, names)
        super()._list(directory, names, request)

    def _send_html(self, request: HttpRequest, html: str, policy: str) -> None:
        status = request.response.status_code
        # A page for an answer to a form is not to be loaded again: that would send the form again.
        if self._reloader is not None and request.method in ("GET", "HEAD") and status not in _ABOUT_THE_CLIENT:
            if status == 404:
                self._watch_for(request, self._reloader)
            html, policy = html + TAG, with_script_allowed(policy)
        super()._send_html(request, html, policy)

    def _watch_for(self, request: HttpRequest, reloader: Reloader) -> None:
        """There is nothing there yet, or nothing that may be seen: the latter is not looked at."""
        decoded = decode_path(request.uri.path)
        if decoded is not None and not self._is_hidden_path(decoded[0]):
            reloader.watch_names(request, decoded[0])

    def _allow_script(self, request: HttpRequest) -> None:
        headers = request.response.headers
        policies = headers.get_all("content-security-policy")
        headers.remove_all("content-security-policy")
        for policy in policies:
            headers.add("content-security-policy", with_script_allowed(policy))

    # ---------------------------------------------------------------- what is no file

    def _refuse_host(self, request: HttpRequest) -> None:
        request.response.status_code = 421
        # Not to "/", which would be asked for at the same name again.
        self._send_error(request, self._hosts.refusal(request), url_towards(request.connection_info, request.scheme))

    def _answer_preflight(self, request: HttpRequest) -> None:
        response = request.response
        response.status_code = 204
        # For reading alone: what else a page of another origin asks for, a browser does not send then.
        response.headers.set("access-control-allow-methods", "GET, HEAD")
        response.headers.set("access-control-allow-headers", "Range, Authorization")
        response.headers.set("access-control-max-age", _PREFLIGHT_MAX_AGE)
        response.close()

    def _receive(self, request: HttpRequest) -> None:
        """Save what a form brings and show the directory again, or save a file that comes as it is."""
        decoded = decode_path(request.uri.path)
        if not is_own_page(request):
            self._refuse(request, 403, OTHER_PAGE)
        elif self._options.drop and request.method == "PUT":
            self._refuse(request, 405, NO_PUT)
        elif self._options.drop and decoded != ((), True):
            self._refuse(request, 404, HAND_IN_AT_TOP)
        elif decoded is None or self._is_hidden_path(decoded[0]):
            is_name = decoded is not None and request.method == "PUT" and not self._is_hidden_path(decoded[0][:-1])
            self._refuse(request, 404, hidden_name(request) if is_name else "")
        else:
            self._receive_at(*decoded, request)

    def _receive_at(self, names: tuple[str, ...], is_directory: bool, request: HttpRequest) -> None:
        is_put = request.method == "PUT"
        folder = names[:-1] if is_put else names
        opened = self._open(folder, request)
        if opened is None:
            return
        if any(map(self._is_hidden, names)):
            status, sentence = 403, NOT_WELL_KNOWN
        elif is_put == is_directory or not stat.S_ISDIR(opened.stat.st_mode):
            status, sentence = 405, wrong_target(request)
        else:
            try:
                wish = wish_of(request, names[-1] if is_put else None)
            except BadMessage as error:
                status, sentence = error.status, not_taken(request, error.message)
            else:
                self._receiver.take(request, opened, wish, partial(self._say_saved, encode_path(folder)))
                return
        opened.close()
        self._refuse(request, status, sentence)

    def _say_saved(self, folder: str, request: HttpRequest, saved: Sequence[Saved]) -> None:
        """To a program what was saved, to people the directory again, or receipts where that is not shown."""
        response = request.response
        is_json = _wants_json(request)
        if not (is_json or self._options.drop):
            response.redirect(folder, status=303)
            return
        response.status_code = 201
        response.headers.set("cache-control", "no-store")
        if is_file_itself(request) and not self._options.drop:
            response.headers.set("location", folder + encode_name(saved[0].name))
        if is_json:
            self._send_json(request, saved_json(saved))
        else:
            self._send_page(request, receipt_page(saved))

    def _is_reserved(self, name: str) -> bool:
        """Whether no upload may be called so: it would stand in for a listing, or for what is not there."""
        return (self._options.index_page or self._options.spa) and is_index(name)


def is_index(name: str) -> bool:
    """Whether a file of this name may be found as index.html.

    Some file systems pass over case, and over characters that only steer how others are shown.
    """
    return "".join(letter for letter in name if unicodedata.category(letter) != "Cf").casefold() == INDEX


def is_dotfile(name: str, *, windows: bool = os.name == "nt") -> bool:
    """Whether a name begins with a dot, or may be a short name on Windows of one that does: GIT~1 is .git."""
    return begins_with_dot(name) or (windows and re.search("~[0-9]", name) is not None)


def _wants_json(request: HttpRequest) -> bool:
    """Whether an upload comes from a program: a file as it is, or a form of which it says so."""
    return is_file_itself(request) or prefers_json(request.headers.get("accept", ""))


def _wants_page(request: HttpRequest) -> bool:
    """Whether a browser is to show what it gets: not a script, an image, or data for one that runs already.

    Accept names text/html then (RFC 9110 12.5.1).  Where it says nothing, the path tells: a name with an
    extension is a file's.
    """
    accepted = weights(request.headers.get("accept", "*/*"))
    if accepted.get("text/html", 0) > 0:
        return True
    if accepted.keys() - {"*/*", ""}:
        return False
    name = decode_lenient(request.uri.path.rpartition("/")[2])
    return not os.path.splitext(name)[1]
