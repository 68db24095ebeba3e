"""Checks that bytes are one JSON text (RFC 8259): MicroPython's parsers accept much that is not JSON.

Imported on demand. The host's tools accept and refuse the same bytes; tests/support/config_bytes.py has the cases.
"""

from ._port import const, utf8

_MAX_DEPTH = const(8)
_WHITE = const(b" \t\r\n")
_HEX = const(b"0123456789abcdefABCDEF")
_INVALID = const("not valid JSON at line %d; check commas, quotes, brackets")


def without_mark(data):
    """Return data without a byte order mark at its start, which editors on Windows write."""
    return data[3:] if data[:3] == b"\xef\xbb\xbf" else data


def check(data):
    """Raise ValueError, with one line that says what is wrong and where, unless data (bytes) is a JSON text."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
        raise ValueError("the text is UTF-16, not UTF-8; save it as UTF-8")
    try:
        utf8(data)
    except UnicodeError:
        raise ValueError("the text is not UTF-8; save it as UTF-8")
    at = _skip(data, _value(data, _skip(data, 0), _MAX_DEPTH))
    if at != len(data):
        _fail(data, at)


def _fail(data, at, what=_INVALID):
    raise ValueError(what % (data[:at].count(b"\n") + 1))


def _skip(data, at):
    """Return where the white space at `at` ends."""
    while at < len(data) and data[at] in _WHITE:
        at += 1
    return at


def _expect(data, at, mark):
    """Return the position after mark, one byte, at `at`."""
    if data[at : at + 1] != mark:
        _fail(data, at)
    return at + 1


def _value(data, at, depth):
    """Return where the value at `at` ends."""
    opening = data[at : at + 1]
    if opening == b'"':
        return _string(data, at)
    if opening in (b"{", b"["):
        return _group(data, at, b"}" if opening == b"{" else b"]", depth)
    for word in (b"true", b"false", b"null"):
        if data[at : at + len(word)] == word:
            return at + len(word)
    return _number(data, at)


def _group(data, at, closing, depth):
    if not depth:
        _fail(data, at, "nested too deep at line %d")
    at = _skip(data, at + 1)
    if data[at : at + 1] == closing:
        return at + 1
    while True:
        if closing == b"}":
            at = _skip(data, _expect(data, _skip(data, _string(data, at)), b":"))
        at = _skip(data, _value(data, at, depth - 1))
        if data[at : at + 1] == closing:
            return at + 1
        at = _skip(data, _expect(data, at, b","))


def _string(data, at):
    at = _expect(data, at, b'"')
    while True:
        if at >= len(data) or data[at] < 32:
            _fail(data, at)
        if data[at] == 0x22:
            return at + 1
        at += 1
        if data[at - 1] == 0x5C:
            at = _escape(data, at)


def _escape(data, at):
    """Return where the escape ends whose backslash is in front of `at`."""
    kind = data[at : at + 1]
    if kind != b"u":
        if not kind or kind not in b'"\\/bfnrt':
            _fail(data, at)
        return at + 1
    digits = data[at + 1 : at + 5]
    if len(digits) < 4 or not all(digit in _HEX for digit in digits):
        _fail(data, at)
    if 0xD800 <= int(digits, 16) < 0xE000:
        _fail(data, at, "\\u%s at line %%d is half a character; write the character itself" % str(digits, "ascii"))
    return at + 5


def _number(data, at):
    first = at + (data[at : at + 1] == b"-")
    at = _digits(data, first)
    if data[first] == 0x30 and at > first + 1:
        _fail(data, first)
    if data[at : at + 1] == b".":
        at = _digits(data, at + 1)
    if data[at : at + 1] in (b"e", b"E"):
        at += 1
        at = _digits(data, at + (data[at : at + 1] in (b"+", b"-")))
    return at


def _digits(data, at):
    """Return where the digits at `at` end; there is at least one."""
    first = at
    while at < len(data) and 0x30 <= data[at] <= 0x39:
        at += 1
    if at == first:
        _fail(data, at)
    return at
