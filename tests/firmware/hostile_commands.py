"""A valid command and invalid ones, for the tests on CPython and on MicroPython."""

RESTART = b'{"command": "restart"}'

HOSTILE = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b'{"command": "restart\xc3"}',
    b"\xef\xbb\xbf" + RESTART,
    RESTART.decode().encode("utf-16"),
    RESTART.decode().encode("utf-32"),
    b"restart",
    b'"restart"',
    b"[]",
    b'["command", "restart"]',
    b"null",
    b"NaN",
    b"{}",
    b'{"Command": "restart"}',
    RESTART * 2,
    b"[" * 8000,
    b"[" * 4000 + b"]" * 4000,
    b'{"command":' * 700,
    b'{"command":' * 700 + b"1" + b"}" * 700,
    b'{"command": "interval", "interval_s": ' + b"9" * 5000 + b"}",
    b'{"command": "interval", "interval_s": 1e999}',
    b'{"command": "interval", "interval_s": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'{"command": "no", "command": 5}',
]
