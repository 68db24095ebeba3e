"""Valid and invalid bytes of a config.json, case by case: the host and the board must agree on each.

Pure Python without imports, so that a test can also hand the table to MicroPython.
"""

OBJECT = b'{"endpoint": "a.example", "client_id": "%s"}'
ACCEPTED = {
    "plain": OBJECT % b"b1",
    "byte order mark": b"\xef\xbb\xbf" + OBJECT % b"b1",
    "white space around": b"\r\n\t " + OBJECT % b"b1" + b"\r\n",
    "two, three and four bytes of UTF-8": OBJECT % "é€😀".encode(),
    "escape": OBJECT % b"\\u00e9",
    "escaped backslash before ud800": OBJECT % b"\\\\ud800",
    "last of two equal keys": b'{"client_id": "b0", "endpoint": "a.example", "client_id": "b1"}',
}
REFUSED = {
    "nothing": b"",
    "white space alone": b" \n",
    "byte order mark alone": b"\xef\xbb\xbf",
    "two byte order marks": b"\xef\xbb\xbf" * 2 + OBJECT % b"b1",
    "byte order mark inside": b"{\xef\xbb\xbf" + (OBJECT % b"b1")[1:],
    "UTF-16, little end first": (OBJECT % b"b1").decode().encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + (OBJECT % b"b1").decode().encode("utf-16-be"),
    "UTF-16 without a mark": (OBJECT % b"b1").decode().encode("utf-16-le"),
    "UTF-32": (OBJECT % b"b1").decode().encode("utf-32"),
    "Latin-1": OBJECT % b"\xe9",
    "UTF-8 cut": OBJECT % b"\xe2\x82",
    "UTF-8 longer than needed": OBJECT % b"\xc0\xaf",
    "surrogate in UTF-8": OBJECT % b"\xed\xa0\x80",
    "lone surrogate, first half": OBJECT % b"\\ud83d",
    "lone surrogate, second half": OBJECT % b"\\uDE00",
    "surrogates as a pair of escapes": OBJECT % b"\\ud83d\\ude00",
    "surrogate in a key that nobody reads": b'{"\\udfff": 1, ' + (OBJECT % b"b1")[1:],
    "NaN": b'{"interval_s": NaN, ' + (OBJECT % b"b1")[1:],
    "Infinity": b'{"interval_s": Infinity, ' + (OBJECT % b"b1")[1:],
    "array": b"[" + OBJECT % b"b1" + b"]",
    "text after the object": OBJECT % b"b1" + b" {}",
    "cut between two members": (OBJECT % b"b1")[:-20],
    "comma at the end": (OBJECT % b"b1")[:-1] + b",}",
    "single quotes": (OBJECT % b"b1").replace(b'"', b"'"),
    "comment": b"// mine\n" + OBJECT % b"b1",
    "line feed in a string": OBJECT % b"b\n1",
}
