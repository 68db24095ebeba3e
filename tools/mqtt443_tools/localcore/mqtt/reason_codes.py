"""MQTT 5 reason codes, named as in clause 2.4, and their counterparts in MQTT 3.1.1.

AWS's tables are in the Developer Guide, "MQTT reason codes"; AWS says that they are not complete. Codes that AWS does
not list are marked; no page says what AWS sends instead.
"""

from __future__ import annotations

from enum import IntEnum


class ReasonCode(IntEnum):
    """Why a packet was accepted or refused; 0x80 and above are refusals."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    DISCONNECT_WITH_WILL = 0x04  # sent by clients
    NO_SUBSCRIPTION_EXISTED = 0x11  # not in AWS's table of UNSUBACK codes
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_PROTOCOL_VERSION = 0x84  # not listed by AWS
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C  # not listed by AWS
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95  # not listed by AWS
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    QOS_NOT_SUPPORTED = 0x9B
    CONNECTION_RATE_EXCEEDED = 0x9F  # not listed by AWS
    MAXIMUM_CONNECT_TIME = 0xA0  # not listed by AWS
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1

    @property
    def words(self) -> str:
        """The name in words, such as `not authorized`."""
        return self.name.lower().replace("_", " ")


CONNACK_311 = {
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: 1,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: 2,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: 5,
    ReasonCode.NOT_AUTHORIZED: 5,
}
"""CONNACK return codes (MQTT 3.1.1, table 3.1). A refused login gets code 5, whatever MQTT 5 clients get."""

ALWAYS_IN_311 = {ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID}
"""Codes that MQTT 3.1.1 requires before the close [MQTT-3.1.2-2] [MQTT-3.1.3-8]."""

DISCONNECT_CODES = {
    "DUPLICATE_CLIENTID": ReasonCode.SESSION_TAKEN_OVER,
    "AUTH_ERROR": ReasonCode.NOT_AUTHORIZED,
    "CLIENT_ERROR": ReasonCode.PROTOCOL_ERROR,
    "MQTT_KEEP_ALIVE_TIMEOUT": ReasonCode.KEEP_ALIVE_TIMEOUT,
    "SERVER_INITIATED_DISCONNECT": ReasonCode.SERVER_SHUTTING_DOWN,
    "SERVER_ERROR": ReasonCode.UNSPECIFIED_ERROR,
    "API_INITIATED_DISCONNECT": ReasonCode.ADMINISTRATIVE_ACTION,
    "THROTTLED": ReasonCode.QUOTA_EXCEEDED,
    "CUSTOMAUTH_TTL_EXPIRATION": ReasonCode.MAXIMUM_CONNECT_TIME,
    "WEBSOCKET_TTL_EXPIRATION": ReasonCode.MAXIMUM_CONNECT_TIME,
}
"""The DISCONNECT code for each of AWS's disconnect reasons, unless a more specific one is known."""
