"""Answers to a client in its own version: MQTT 3.1.1 can express few refusals, MQTT 5 has a code for each.

Whether a connection ends is decided elsewhere. None means that the version has no such answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mqtt443_tools.localcore.mqtt import encoder
from mqtt443_tools.localcore.mqtt.packets import SUBSCRIBE_REFUSED, Version
from mqtt443_tools.localcore.mqtt.properties import NONE, Properties
from mqtt443_tools.localcore.mqtt.reason_codes import ALWAYS_IN_311, CONNACK_311, ReasonCode
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.support.printable import printable

MAX_REASON_CHARS = 450
"""Enough for the longest topic in a missing resource; fits into the smallest packet size, 512 bytes."""


class Answers(Protocol):
    """Answers in one version; a detail is one line for people and never a secret."""

    version: Version

    def accept(self, *, session_present: bool, found: Properties) -> bytes:
        """Return the CONNACK of an accepted client."""

    def refuse(self, code: int, detail: str) -> bytes | None:
        """Return the CONNACK of a refused client."""

    def puback(self, packet_id: int, code: int = ReasonCode.SUCCESS, detail: str = "") -> bytes | None:
        """PUBACK."""

    def suback(self, packet_id: int, codes: Sequence[int], detail: str) -> bytes:
        """SUBACK."""

    def unsuback(self, packet_id: int, codes: Sequence[int], detail: str) -> bytes:
        """UNSUBACK."""

    def disconnect(self, code: int, detail: str) -> bytes | None:
        """DISCONNECT."""


class Answers311:
    """MQTT 3.1.1: codes in CONNACK and SUBACK only."""

    version: Version = 4

    def __init__(self, settings: Settings) -> None:
        self._says_refusals = settings.refusal == "connack"

    def accept(self, *, session_present: bool, found: Properties) -> bytes:  # noqa: ARG002 - 3.1.1 has no properties
        """CONNACK 0."""
        return encoder.connack(0, session_present=session_present)

    def refuse(self, code: int, detail: str) -> bytes | None:  # noqa: ARG002 - no room for it
        """CONNACK with a return code, if 3.1.1 requires one or the settings ask for it."""
        return_code = CONNACK_311.get(ReasonCode(code))
        if return_code is None or not (self._says_refusals or code in ALWAYS_IN_311):
            return None
        return encoder.connack(return_code)

    def puback(self, packet_id: int, code: int = ReasonCode.SUCCESS, detail: str = "") -> bytes | None:  # noqa: ARG002
        """PUBACK; a refusal gets none."""
        return encoder.puback(packet_id) if code < ReasonCode.UNSPECIFIED_ERROR else None

    def suback(self, packet_id: int, codes: Sequence[int], detail: str) -> bytes:  # noqa: ARG002
        """SUBACK with 0x80 for every refusal."""
        return encoder.suback(packet_id, [min(code, SUBSCRIBE_REFUSED) for code in codes])

    def unsuback(self, packet_id: int, codes: Sequence[int], detail: str) -> bytes:  # noqa: ARG002
        """UNSUBACK without codes."""
        return encoder.unsuback(packet_id)

    def disconnect(self, code: int, detail: str) -> bytes | None:  # noqa: ARG002
        """Nothing: a server just closes."""
        return None


class Answers5:
    """MQTT 5: a reason code in every answer, and a reason string if settings, client and packet size allow it.

    Args:
        asked: the properties of the client's CONNECT; none if it was malformed.
    """

    version: Version = 5

    def __init__(self, settings: Settings, asked: Properties = NONE) -> None:
        self._explains = settings.mqtt5_reason_string
        # Without it, only CONNACK and DISCONNECT may explain themselves [MQTT5-3.1.2-29].
        self._explains_acks = self._explains and asked.request_problem_information != 0
        self._max_bytes = asked.maximum_packet_bytes

    def accept(self, *, session_present: bool, found: Properties) -> bytes:
        """CONNACK 0 with the server's capabilities."""
        return encoder.connack(0, session_present=session_present, found=found)

    def refuse(self, code: int, detail: str) -> bytes | None:
        """CONNACK with a reason code."""
        return self._explained(lambda found: encoder.connack(code, found=found), detail, explains=self._explains)

    def puback(self, packet_id: int, code: int = ReasonCode.SUCCESS, detail: str = "") -> bytes | None:
        """PUBACK with a reason code."""
        if not detail:
            return encoder.puback(packet_id, code)
        return self._explained(lambda found: encoder.puback(packet_id, code, found), detail)

    def suback(self, packet_id: int, codes: Sequence[int], detail: str) -> bytes:
        """SUBACK with a reason code for each filter."""
        answer = self._explained(lambda found: encoder.suback(packet_id, codes, found), detail)
        return encoder.suback(packet_id, codes, NONE) if answer is None else answer

    def unsuback(self, packet_id: int, codes: Sequence[int], detail: str) -> bytes:
        """UNSUBACK with a reason code for each filter."""
        answer = self._explained(lambda found: encoder.unsuback(packet_id, codes, found), detail)
        return encoder.unsuback(packet_id, codes, NONE) if answer is None else answer

    def disconnect(self, code: int, detail: str) -> bytes | None:
        """DISCONNECT with a reason code."""
        return self._explained(lambda found: encoder.disconnect(code, found), detail, explains=self._explains)

    def _explained(
        self, encode: Callable[[Properties], bytes], detail: str, *, explains: bool | None = None
    ) -> bytes | None:
        """Encode with a reason string if settings, client and packet size allow one."""
        if detail and (self._explains_acks if explains is None else explains):
            answer = encode(Properties(reason_string=printable(detail, MAX_REASON_CHARS)))
            if self._fits(answer):
                return answer
        answer = encode(NONE)
        return answer if self._fits(answer) else None

    def _fits(self, packet: bytes) -> bool:
        return self._max_bytes is None or len(packet) <= self._max_bytes
