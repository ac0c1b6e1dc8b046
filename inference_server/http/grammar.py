"""The grammar of a request head (RFC 9110, RFC 9112), as patterns over bytes.

Stricter than the RFC where being lenient is ambiguous: method names have no lower-case letters (as gunicorn),
a target has visible ASCII only, a fragment is refused, and a header value holds no control character but tab.
"""

from __future__ import annotations

import re

_TOKEN_CHARS = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"

METHOD = rb"[!$%&'*+\-.^_`|~0-9A-Z]{3,20}"
TARGET = rb"[!\"$-~]+"
NAME = rb"[" + _TOKEN_CHARS + rb"]+"
VALUE = rb"[\t -~\x80-\xff]*"

# One pass over a whole head decides whether it is valid. Every class excludes what ends it, so nothing
# backtracks. One empty line before the request line is allowed (RFC 9112 2.2), two are not.
HEAD = re.compile(
    rb"(?:\r\n)?("
    + METHOD
    + rb") ("
    + TARGET
    + rb") HTTP/1\.([01])\r\n((?:"
    + NAME
    + rb":"
    + VALUE
    + rb"\r\n)*)\r\n"
)
# Splits what HEAD or FIELDS has accepted; on anything else it means nothing.
FIELD = re.compile(rb"([^:]+):[\t ]*([^\r]*)\r\n")
FIELDS = re.compile(rb"(?:" + NAME + rb":" + VALUE + rb"\r\n)*")

IS_METHOD = re.compile(METHOD)
IS_TARGET = re.compile(TARGET)
IS_NAME = re.compile(NAME)
IS_VALUE = re.compile(VALUE)
IS_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")

# uri-host [":" port] without the comma a host never has: «a,b» is two Host headers joined by someone.
IS_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%\-_~]+\]|[A-Za-z0-9\-._~!$&'()*+;=%]*)(?::[0-9]{0,5})?")
ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)(/[^?]*)?(?:\?(.*))?")

# A line end that is not CRLF, or a control character: nothing valid follows, however many bytes arrive.
# A CR at the very end may still get its LF. Begins with a plain class, which the engine skips to six times as
# fast as it tries alternatives at every byte.
NEVER_VALID = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f](?<!\r\n)(?:(?<!\r)|(?!\n|\Z))")

# chunk-size [ chunk-ext ] CRLF, without the optional white space around ; and = that some parsers skip and
# others do not. Sixteen digits are enough for any size and cannot overflow.
SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:;"
    + NAME
    + rb"(?:=(?:"
    + NAME
    + rb"|\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\"))?)*)\r\n"
)
IS_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
