"""Admission of a CONNECT: checks client id, will, authorizer, policy and rate, in this order.

Refuses what AWS refuses; the connection decides how the refusal looks to the client, and does everything after CONNACK.
"""

from __future__ import annotations

import dataclasses
import uuid

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.localcore_errors import AdmissionRefusedError, PublishRefusedError, TopicError
from mqtt443_tools.localcore.mqtt.packets import Connect, Will
from mqtt443_tools.localcore.mqtt.publish import check_properties
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode
from mqtt443_tools.localcore.mqtt.reserved import explain_reserved
from mqtt443_tools.localcore.mqtt.topics import check_topic, is_reserved
from mqtt443_tools.localcore.rate import RateWindow
from mqtt443_tools.localcore.settings import Settings

MIN_CLIENT_PACKET_BYTES = 512
"""A smaller Maximum Packet Size is "not allowed to connect" (General Reference); with which code, no page says."""


@dataclasses.dataclass(frozen=True, slots=True)
class Admitted:
    """An admitted client: its client id (assigned if it sent none), and its permissions."""

    client_id: str
    access: Access


class Admission:
    """The gate, shared by all connections of one endpoint."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._rates: dict[str, RateWindow] = {}  # by client id, the one that connected last at the end

    def request(self, connect: Connect, peer: Peer) -> Request:
        """Check a CONNECT and return the request to the authorizer. Raises AdmissionRefusedError."""
        self._check_client_id(connect)
        self._check_properties(connect)
        if connect.will is not None:
            self._check_will(connect.will)
        return Request(
            server_name=peer.server_name,
            protocols=("tls", "http", "mqtt") if peer.over_websocket else ("tls", "mqtt"),
            http_headers=peer.http_headers,
            http_query=peer.http_query,
            mqtt_username=connect.username,
            mqtt_password=connect.password,
            mqtt_client_id=connect.client_id or None,
            connection_id=peer.connection_id,
            source_ip=peer.source_ip,
        )

    def admit(self, connect: Connect, peer: Peer, grant: Grant) -> Admitted:
        """Check a CONNECT against the authorizer's grant. Raises AdmissionRefusedError."""
        client_id = connect.client_id or uuid.uuid4().hex
        access = Access(grant, self._settings.arn_prefix, client_id, peer.source_ip, peer.server_name)
        self._check_policy(access, client_id, connect.will)
        self._check_rate(client_id)
        return Admitted(client_id, access)

    def _check_client_id(self, connect: Connect) -> None:
        client_id, problem = connect.client_id, None
        if not client_id:
            # An empty id asks for a new one, which needs a clean session in 3.1.1 [MQTT-3.1.3-7].
            if connect.version == 4 and (self._settings.empty_client_id == "refuse" or not connect.clean_session):
                problem = "the client id is empty [MQTT-3.1.3-8]"
        elif (size := len(client_id.encode())) > self._settings.max_client_id_bytes:
            problem = f"the client id has {size} bytes, the limit is {self._settings.max_client_id_bytes}"
        elif client_id.startswith("$"):
            problem = "client ids that begin with $ are AWS's own"
        if problem is not None:  # [MQTT-3.1.3-9]: return code 2, then close
            raise AdmissionRefusedError("CLIENT_ERROR", problem, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)

    @staticmethod
    def _check_properties(connect: Connect) -> None:
        asked = connect.properties
        if asked.authentication_method is not None:
            detail = "an authentication method (AUTH), which AWS does not support"
            raise AdmissionRefusedError("CLIENT_ERROR", detail, ReasonCode.BAD_AUTHENTICATION_METHOD)
        size = asked.maximum_packet_bytes
        if size is not None and size < MIN_CLIENT_PACKET_BYTES:
            detail = f"a maximum packet size of {size} bytes, AWS takes {MIN_CLIENT_PACKET_BYTES} or more"
            raise AdmissionRefusedError("CLIENT_ERROR", detail, ReasonCode.QUOTA_EXCEEDED)

    def _check_will(self, will: Will) -> None:
        settings = self._settings
        try:
            check_topic(will.topic, max_bytes=settings.max_topic_bytes, max_slashes=settings.max_topic_slashes)
            check_properties(will.properties, settings)
        except PublishRefusedError as refused:
            raise AdmissionRefusedError("CLIENT_ERROR", f"will: {refused.detail}", refused.reason_code) from None
        except TopicError as error:
            raise AdmissionRefusedError("CLIENT_ERROR", f"will topic: {error}", ReasonCode.TOPIC_NAME_INVALID) from None
        if is_reserved(will.topic):
            detail = f"will topic: {explain_reserved(will.topic)}"
            raise AdmissionRefusedError("CLIENT_ERROR", detail, ReasonCode.TOPIC_NAME_INVALID)
        if will.qos == 2:
            detail = "a will with QoS 2, which AWS does not support"
            raise AdmissionRefusedError("CLIENT_ERROR", detail, ReasonCode.QOS_NOT_SUPPORTED)
        if (size := len(will.payload)) > settings.max_payload_bytes:
            detail = f"a will of {size} bytes, over {settings.max_payload_bytes}"
            raise AdmissionRefusedError("CLIENT_ERROR", detail, ReasonCode.QUOTA_EXCEEDED)

    @staticmethod
    def _check_policy(access: Access, client_id: str, will: Will | None) -> None:
        """iot:Connect, and for a will iot:Publish and iot:RetainPublish (Developer Guide, "Policy actions")."""
        verdict = access.connect(client_id)
        if verdict.allowed and will is not None:
            verdict = access.publish(will.topic, retain=will.retain)
        if not verdict.allowed:
            raise AdmissionRefusedError("AUTHORIZATION_FAILURE", verdict.explanation, ReasonCode.NOT_AUTHORIZED)

    def _check_rate(self, client_id: str) -> None:
        rate = self._rates.pop(client_id, None) or RateWindow(self._settings.connect_rate_per_s, self._clock)
        self._rates[client_id] = rate
        # Idle clients are at the front, and each is removed once, so the cost of a CONNECT does not grow with the
        # clients.
        while (oldest := next(iter(self._rates))) != client_id and self._rates[oldest].idle():
            del self._rates[oldest]
        if not rate.take():
            detail = f"over {self._settings.connect_rate_per_s} CONNECT a second for one client id"
            raise AdmissionRefusedError("THROTTLED", detail, self._settings.mqtt5_connect_rate_code)
