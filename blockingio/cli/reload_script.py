"""The script of --reload in pages: as markup, in the bytes of a file, and in what a Content-Security-Policy allows.

It stands behind the page's last tag, where the parser of every browser takes it into the body and the page's own
markup stays as it was (HTML 13.2.6.4.20).
"""

from __future__ import annotations

import codecs
from time import time

from blockingio.http_server.page import Script
from blockingio.http_server.representation import Representation, read_at
from blockingio.http_server.safe_open import Opened

#: Where pages ask for news: no file is served there, since it begins with a dot.
RELOAD_PATH = "/.blockingio/reload"

# The page knows best what it was made of: what the browser has loaded for it.  A style sheet is exchanged, everything
# else is a reason to load the page again.  A page that is not seen lets go of its connection: a browser has six.
SCRIPT = Script.of("""\
"use strict";(()=>{performance.setResourceTimingBufferSize(5000);let source=null,last="";
const path=url=>{try{const at=new URL(url,document.baseURI);
return at.origin===location.origin?decodeURIComponent(at.pathname):""}catch{return""}};
const used=()=>new Set([location.href,...performance.getEntriesByType("resource").map(entry=>entry.name),
...[...document.querySelectorAll("[src],link[href]")].map(element=>element.src||element.href)].map(path));
const exchange=link=>{const next=link.cloneNode(),url=new URL(link.href);
url.searchParams.set("reload",Date.now());next.href=url.href;
next.onload=next.onerror=()=>link.remove();link.after(next)};
const take=event=>{last=event.lastEventId;const changed=JSON.parse(event.data),mine=used(),links=[];
if(changed===null)return location.reload();
for(const one of changed.filter(one=>mine.has(one))){
const found=[...document.querySelectorAll("link[rel~=stylesheet][href]")].filter(link=>path(link.href)===one);
if(!found.length)return location.reload();links.push(...found)}
links.forEach(exchange)};
const connect=()=>{if(source||document.hidden)return;
source=new EventSource("RELOAD?"+(last?"last="+last:"since="+Math.ceil(performance.now())));
source.onmessage=take;source.onerror=()=>{if(source?.readyState===2){source=null;setTimeout(connect,1000)}}};
const part=()=>{source?.close();source=null};
addEventListener("visibilitychange",()=>document.hidden?part():connect());addEventListener("pagehide",part);
addEventListener("pageshow",connect);connect()})()
""".replace("RELOAD", RELOAD_PATH))

TAG = f"<script>{SCRIPT.text}</script>\n"

# Bytes of a page that is read into memory, to have the script behind it; a longer one is served as it is.
_MOST = 16 * 1024 * 1024

_BOMS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

# A source that permits inline scripts, unless one of those that begin so stands beside it (CSP 3, 6.7.3.2).
_UNSAFE_INLINE = "'unsafe-inline'"
_HASHES = ("'sha256-", "'sha384-", "'sha512-", "'nonce-", "'strict-dynamic'")


def page_with_script(opened: Opened, media_type: str) -> Representation | None:
    """A file that is a page, with the script behind it; None for any other.  Raises OSError."""
    if not media_type.startswith("text/html") or opened.stat.st_size > _MOST:
        return None
    page = Representation(opened, media_type, None, time())
    content = read_at(opened.descriptor, 0, opened.stat.st_size)
    charset = next((charset for bom, charset in _BOMS if content.startswith(bom)), "ascii")
    page.data = content + TAG.encode(charset)
    page.size = len(page.data)
    page.etag = f'{page.etag[:-1]}-{SCRIPT.source[8:16].encode().hex()}"'  # of the page with this very script
    return page


def with_script_allowed(policy: str) -> str:
    """A Content-Security-Policy that lets the script run and connect, and nothing else that it did not."""
    directives = {}
    for directive in policy.split(";"):
        name, *sources = directive.split() or [""]
        if name and name.lower() not in directives:  # of two with one name the first counts (CSP 3, 2.2.1)
            directives[name.lower()] = sources
    _allow(directives, ("script-src-elem", "script-src", "default-src"), SCRIPT.source)
    _allow(directives, ("connect-src", "default-src"), "'self'")
    return "; ".join(" ".join([name, *sources]) for name, sources in directives.items())


def _allow(directives: dict[str, list[str]], names: tuple[str, ...], source: str) -> None:
    """Add a source to the directive that decides, the first of these names that is there."""
    name = next((name for name in names if name in directives), None)
    if name is None:
        return  # everything is allowed
    sources = directives[name]
    words = [word.lower() for word in sources]
    allows_inline = _UNSAFE_INLINE in words and not any(word.startswith(_HASHES) for word in words)
    if source in sources or "*" in words and source == "'self'" or allows_inline and source != "'self'":
        return
    # What the default one decided is now said of this one alone.
    directives[names[-2] if name == "default-src" else name] = [
        *(word for word in sources if word.lower() != "'none'"), source]
