"""Words for the reason codes with which a server refuses (MQTT Version 5.0, section 2.4). Imported on demand."""

# One text, because rows of a dict cost more. The codes of QoS 2 and of AUTH cannot occur.
_WORDS = """
00 normal disconnection
80 unspecified error
81 malformed packet
82 protocol error
83 implementation specific error
84 unsupported protocol version
85 client identifier not valid
86 bad user name or password
87 not authorized
88 server unavailable
89 server busy
8a banned
8b server shutting down
8d keep alive timeout
8e another device connected with this client id
8f topic filter invalid
90 topic name invalid
91 packet identifier in use
93 receive maximum exceeded
94 topic alias invalid
95 packet too large
96 message rate too high
97 quota exceeded
98 administrative action
99 payload format invalid
9a retain not supported
9b QoS not supported
9c use another server
9d server moved
9e shared subscriptions not supported
9f connection rate exceeded
a0 maximum connect time
a1 subscription identifiers not supported
a2 wildcard subscriptions not supported
"""


def words(code):
    """Return what the reason code `code` means, in the standard's words or in clearer ones."""
    row = "\n%02x " % code
    start = _WORDS.find(row)
    if start < 0:
        return "unknown reason"
    start += len(row)
    return _WORDS[start : _WORDS.find("\n", start)]
