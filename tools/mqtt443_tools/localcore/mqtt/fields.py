"""The data types that MQTT packets are built from (clause 1.5 of both versions; clause numbers are those of 3.1.1)."""

from __future__ import annotations

from mqtt443_tools.localcore.localcore_errors import MalformedPacketError


class Body:
    """Reads the body of one packet from front to back; every method raises MalformedPacketError if it ends early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def byte(self, what: str) -> int:
        """Read one byte."""
        return self._take(1, what)[0]

    def short(self, what: str) -> int:
        """Read a two-byte integer (section 1.5.2)."""
        data, at = self._data, self._at
        if at + 2 > len(data):
            raise MalformedPacketError(f"the packet ends inside its {what}")
        self._at = at + 2
        return data[at] << 8 | data[at + 1]

    def long(self, what: str) -> int:
        """Read a four-byte integer (MQTT 5, clause 1.5.3)."""
        return int.from_bytes(self._take(4, what), "big")

    def variable(self, what: str) -> int:
        """Read a variable byte integer in its shortest form [MQTT5-1.5.5-1]."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte(what)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if shift and not byte:
                    raise MalformedPacketError(f"the {what} is longer than it need be [MQTT5-1.5.5-1]")
                return value
        raise MalformedPacketError(f"the {what} takes more than four bytes (MQTT 5, clause 1.5.5)")

    def section(self, length: int, what: str) -> Body:
        """Read this many bytes as a separate body."""
        return Body(self._take(length, what))

    def binary(self, what: str) -> bytes:
        """Read a field with a two-byte length before it."""
        return self._take(self.short(what), what)

    def string(self, what: str) -> str:
        """Read a UTF-8 string (section 1.5.3).

        Ill-formed UTF-8, surrogates included, closes the connection [MQTT-1.5.3-1], and so does U+0000 [MQTT-1.5.3-2].
        A byte order mark is kept [MQTT-1.5.3-3].
        """
        try:
            text = self.binary(what).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedPacketError(f"the {what} is not UTF-8 [MQTT-1.5.3-1]") from None
        if "\0" in text:
            raise MalformedPacketError(f"the {what} holds U+0000 [MQTT-1.5.3-2]")
        return text

    def pair(self, what: str) -> tuple[str, str]:
        """Read a UTF-8 string pair (MQTT 5, clause 1.5.7)."""
        return self.string(what), self.string(what)

    def packet_id(self) -> int:
        """Read a packet identifier, which is never 0 [MQTT-2.3.1-1]."""
        value = self.short("packet identifier")
        if not value:
            raise MalformedPacketError("packet identifier 0 [MQTT-2.3.1-1]")
        return value

    def rest(self) -> bytes:
        """Read the rest."""
        return self._take(self.left, "payload")

    def _take(self, count: int, what: str) -> bytes:
        data, at = self._data, self._at
        end = at + count
        if end > len(data):
            raise MalformedPacketError(f"the packet ends inside its {what}")
        self._at = end
        return data[at:end]


def encode_length(length: int) -> bytes:
    """Encode a remaining length or another variable byte integer, 0..268,435,455."""
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (0x80 if length else 0))
        if not length:
            return bytes(out)


def string(text: str) -> bytes:
    """Encode a UTF-8 string with its length before it."""
    return binary(text.encode())


def binary(data: bytes) -> bytes:
    """Encode binary data, at most 65,535 bytes, with its length before it."""
    return len(data).to_bytes(2, "big") + data
