"""A charset parameter from the wire to the codec for it.

Knows which of Python's codecs are charsets at all (not zlib, not unicode_escape), and looks nothing up that is not:
each unknown name that reaches ``codecs`` is remembered there for ever, and its module looked for on disk.
"""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

# Values of Python's table that turn bytes into bytes, or exist on one system only.
_NO_CHARSETS = frozenset("base64_codec bz2_codec hex_codec mbcs oem quopri_codec rot_13 uu_codec zlib_codec".split())

# Codecs that Python has but lists no alias for.
_WITHOUT_ALIAS = frozenset("cp720 cp737 cp874 iso8859_1 koi8_t koi8_u mac_croatian mac_romanian utf_8_sig".split())

_CHARSETS = (frozenset(aliases.values()) | _WITHOUT_ALIAS) - _NO_CHARSETS


def find_codec(charset: str) -> codecs.CodecInfo:
    """The codec of a charset.  Raises LookupError for one that Python does not have."""
    name = charset.lower().replace("-", "_").replace(" ", "_").replace(":", "_")
    if aliases.get(name, name) not in _CHARSETS:
        raise LookupError(f"the charset is {charset[:80]!r}, expected one that Python knows, as utf-8")
    return codecs.lookup(name)
