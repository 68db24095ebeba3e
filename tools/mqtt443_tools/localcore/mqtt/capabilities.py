"""What client and server negotiate in CONNECT and CONNACK: session expiry, keep alive, windows, sizes, aliases."""

from __future__ import annotations

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.mqtt.outbound import OUTBOUND_311, Outbound, Outbound5
from mqtt443_tools.localcore.mqtt.packets import Connect
from mqtt443_tools.localcore.mqtt.properties import NONE, Properties
from mqtt443_tools.localcore.mqtt.timers import effective_keep_alive_s
from mqtt443_tools.localcore.settings import Settings


def session_expiry_s(connect: Connect, settings: Settings) -> int:
    """Return how long a session outlives its connection; in 3.1.1 the account's setting or 0."""
    if connect.version == 4:
        return 0 if connect.clean_session else settings.session_expiry_s
    return min(connect.properties.session_expiry_s or 0, settings.session_expiry_s)


def window(connect: Connect, settings: Settings) -> int:
    """Return how many unacknowledged QoS 1 messages the client accepts."""
    return min(connect.properties.receive_maximum or settings.max_in_flight, settings.max_in_flight)


def outbound_for(connect: Connect, settings: Settings, clock: Clock) -> Outbound:
    """Return the encoder for messages to a client."""
    if connect.version == 4:
        return OUTBOUND_311
    asked = connect.properties
    max_aliases = min(asked.topic_alias_maximum or 0, settings.mqtt5_topic_aliases_out)
    return Outbound5(clock, max_aliases=max_aliases, max_packet_bytes=asked.maximum_packet_bytes)


def capabilities(connect: Connect, client_id: str, settings: Settings) -> Properties:
    """Return the properties of CONNACK (Developer Guide, "MQTT 5 properties"); none in 3.1.1."""
    if connect.version == 4:
        return NONE
    return Properties(
        session_expiry_s=session_expiry_s(connect, settings),
        receive_maximum=settings.max_in_flight,
        maximum_qos=1,
        retain_available=1,
        maximum_packet_bytes=settings.max_packet_bytes,
        assigned_client_id=None if connect.client_id else client_id,
        topic_alias_maximum=settings.mqtt5_topic_aliases,
        wildcard_subscription_available=1,
        subscription_identifier_available=0,
        shared_subscription_available=1,
        server_keep_alive_s=effective_keep_alive_s(connect.keep_alive_s, settings),
    )
