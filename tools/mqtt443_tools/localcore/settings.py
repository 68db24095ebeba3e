"""Every number and every choice of the local endpoint, with its default and the reason for it.

Four kinds of field, told apart by `metadata["kind"]`:

- `place`: where this endpoint lives;
- `limit`: a quota that AWS documents (General Reference, "AWS IoT Core endpoints and quotas");
- `undocumented`: AWS does not say, or its pages differ, so localcore chooses, and `metadata["why"]` gives the reason;
- `guard`: protects this machine; AWS has something of the kind, but not this number.

The documentation is made from these fields; the command line sets them by name (`--set qos2=ignore`).

Not settings, because only one behaviour is emulated: a will is checked against the policy at CONNECT, not again when it
is sent; the rules engine does not exist here; the throughput limit of 512 KB/s is not enforced. Over WebSocket the
authorizer is asked when CONNECT arrives, because it may hold the credentials: a refusal comes after the 101, as a
close. HTTP header names reach the authorizer as the client wrote them. What AWS leaves open about choosing and asking
authorizers is in `auth.authorizer.AuthorizerRules`.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path
from typing import Literal

from mqtt443_tools.localcore.localcore_errors import SettingError
from mqtt443_tools.localcore.setting_fields import check_field, choice, guard, limit, place
from mqtt443_tools.support.paths import STATE

PACKET_IDS = 0xFFFF

HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one local endpoint. Raises SettingError if a value does not fit its field."""

    name: str = place("localhost", "the endpoint's host name: SNI must be exactly this")
    also: str | None = place(
        None,
        "more host names and IPv4 addresses, separated by commas: the certificate holds them, and clients may use them "
        "like the name. A client that connects to one of the addresses may leave SNI out, as RFC 6066 requires",
    )
    bind: str = place("127.0.0.1", "the address to listen on; another one lets real boards in")
    port: int = place(8443, "TCP port of the default endpoint; 0 takes a free one")
    state: Path = place(STATE, "folder with the CA, the devices and the control file")  # noqa: RUF009 - a Path is immutable
    region: str = place("eu-west-1", "the region in the ARNs that policies are evaluated against")
    account: str = place("123456789012", "the account in those ARNs")
    domain_name: str | None = place(
        None,
        "host name of a CUSTOM_AUTH + SECURE_MQTT domain configuration; none: absent. AWS finds it by SNI alone; "
        "here it has its own port, so its name may be the endpoint's",
    )
    domain_port: int = place(0, "TCP port of that domain configuration; 0 takes a free one")
    domain_authorizer: str | None = place("mqtt443", "its defaultAuthorizerName; none: it has no default")
    domain_allow_override: bool = place(False, "its allowAuthorizerOverride: may a device name another authorizer?")
    domain_enabled: bool = place(True, "its status; a disabled one refuses with DOMAIN_CONFIGURATION_DISABLED")

    keep_alive_min_s: int = limit(30, "a shorter keep alive counts as this", low=1)
    keep_alive_max_s: int = limit(1200, "a longer keep alive, or 0, counts as this", low=1)
    max_client_id_bytes: int = limit(128, "client id, UTF-8")
    max_payload_bytes: int = limit(128 * 1024, "payload of a publish or a will")
    max_packet_bytes: int = limit(146 * 1024, "one MQTT packet; documented for MQTT 5, used for all")
    max_topic_bytes: int = limit(256, "topic or filter, UTF-8")
    max_topic_slashes: int = limit(7, "slashes in a topic or filter")
    max_filters: int = limit(8, "topic filters in one SUBSCRIBE")
    max_subscriptions: int = limit(50, "subscriptions of one connection; the excess gets SUBACK 0x80, 0x97 in MQTT 5")
    max_in_flight: int = limit(
        100, "unacknowledged QoS 1 messages to one client, and from it: the Receive Maximum of CONNACK", low=1
    )
    mqtt5_topic_aliases: int = limit(8, "topic aliases that a client may use: the Topic Alias Maximum of CONNACK")
    max_shared_groups: int = limit(100, "shared subscription groups of the account; the excess is refused as above")
    max_group_members: int = limit(100, "members of a shared subscription group; the excess is refused as above")
    publish_rate_per_s: int = limit(100, "publishes of one connection, each way; excess is discarded; 0: no limit")
    connect_rate_per_s: int = limit(
        1,
        "CONNECTs of a client id, counted after authentication, so that strangers lock no device out; 0: no limit",
    )
    session_expiry_s: int = limit(
        3600,
        "a persistent session ends this long after its connection, 604,800 at most; MQTT 5 clients may ask for less, "
        "and find what they got in CONNACK",
        high=604_800,
    )
    replay_rate_per_s: int = limit(10, "stored messages sent to a client that reconnects; 0: no limit")
    retry_s: int = limit(960, "an unacknowledged QoS 1 message is resent after this time, or in MQTT 5 dropped", low=1)
    websocket_lifetime_s: int = limit(86_400, "longest life of a WebSocket connection", low=1)
    max_retained: int = limit(500_000, "topics with a retained message")
    retained_rate_per_s: int = limit(1, "retained messages stored per topic; 0: no limit")
    max_shadow_bytes: int = limit(8192, "state of a shadow, as compact JSON and without metadata")
    shadow_requests_per_s: int = limit(20, "requests to the shadows of a Thing; the excess is rejected; 0: no limit")

    refusal: Literal["close", "connack"] = choice(
        "close",
        "a refused CONNECT of MQTT 3.1.1: field reports agree on a bare close; `connack` sends return code 5 first",
        "connack",
    )
    empty_client_id: Literal["refuse", "assign"] = choice(
        "refuse",
        "an empty client id in MQTT 3.1.1: a policy names literal ids, so there is nothing it could match. MQTT 5 "
        "clients are assigned one, as AWS documents",
        "assign",
    )
    refused_publish: Literal["close", "ignore"] = choice(
        "close",
        "a publish of a 3.1.1 client that the policy refuses: AWS staff confirm the close (sdk-js #191)",
        "ignore",
    )
    refused_subscribe: Literal["close", "suback"] = choice(
        "close", "the same for a subscribe: same source; `suback` answers 0x80", "suback"
    )
    before_connack: Literal["serve", "close"] = choice(
        "serve",
        "packets that a client sends before its CONNACK: MQTT allows them (3.1.1, section 3.1.4), AWS says that a "
        "client must wait, and not what happens otherwise. `serve` handles them after CONNACK and says so in the log",
        "close",
    )
    qos2: Literal["close", "ignore"] = choice(
        "close", "QoS 2 gets no PUBACK and no SUBACK, AWS says; a close shows the mistake at once", "ignore"
    )
    reserved_topics: Literal["close", "ignore"] = choice(
        "close", "use of a `$` topic other than Basic Ingest: AWS says that it can end the connection", "ignore"
    )
    over_payload: Literal["close", "ignore"] = choice(
        "close",
        "a larger publish: CLIENT_ERROR disconnect on one page, `rejected` on another",
        "ignore",
    )
    over_filters: Literal["close", "suback"] = choice(
        "close",
        "more filters than a SUBSCRIBE may have: no page says; `suback` refuses the excess",
        "suback",
    )
    mqtt5_login_code: int = choice(
        0x87,
        "CONNACK reason code of a login that the authorizer refuses: 135 (0x87, not authorized), which a refused "
        "certificate client got in the field (MQTTnet #1729), or 134 (0x86, bad user name or password)",
        0x86,
    )
    mqtt5_connect_rate_code: int = choice(
        0x97,
        "CONNACK reason code of a client id that connects too often: 151 (0x97, quota exceeded) is in AWS's table, 159 "
        "(0x9F, connection rate exceeded) is what the standard has for it",
        0x9F,
    )
    mqtt5_refused_publish: Literal["puback", "disconnect"] = choice(
        "puback",
        "a QoS 1 publish of an MQTT 5 client that is refused (policy, topic, payload): AWS's tables have the codes for "
        "PUBACK and for DISCONNECT",
        "disconnect",
    )
    mqtt5_refused_qos0: Literal["disconnect", "ignore"] = choice(
        "disconnect",
        "the same with QoS 0, which has no PUBACK: only DISCONNECT can report it",
        "ignore",
    )
    mqtt5_refused_subscribe: Literal["suback", "disconnect"] = choice(
        "suback",
        "a filter of an MQTT 5 client that is refused: AWS's tables have the codes for SUBACK and for DISCONNECT",
        "disconnect",
    )
    mqtt5_throttled_publish: Literal["discard", "puback"] = choice(
        "discard",
        "a publish of an MQTT 5 client over the rate: AWS says `discarded`; `puback` answers QoS 1 with 0x97",
        "puback",
    )
    mqtt5_topic_aliases_out: int = choice(
        8,
        "topic aliases used towards a client that allows some: no page says whether AWS uses any; 0 uses none",
        low=0,
    )
    mqtt5_reason_string: bool = choice(
        True,
        "a reason string beside each code says what was wrong. AWS sends some (a refused CONNACK of 113 bytes was "
        "seen), but its texts are unknown; false: codes only",
        False,
    )
    dup_on_redelivery: bool = choice(
        False, "AWS says that it does not support DUP; MQTT-3.3.1-1 requires it on a redelivery", True
    )
    refresh_idle_lateness_s: int = choice(
        0, "a refresh on an idle connection may come up to 300 s late at AWS; 0 is the strictest", low=0
    )
    recheck_connect: bool = choice(
        True,
        "iot:Connect is evaluated again with each refreshed policy (reported: MQTTnet #1729)",
        False,
    )
    domain_alpn: Literal["tolerate", "refuse"] = choice(
        "tolerate", "ALPN `mqtt` offered to a domain configuration that needs none", "refuse"
    )
    http_refused_status: int = choice(403, "status of an HTTP publish that authorizer or policy refuses", 401)
    shadow_depth: int = choice(
        6,
        "levels of nesting in each section of a shadow, itself included: 6 in the error message, 8 in the quotas",
        8,
    )
    shadow_things: Literal["any", "registered"] = choice(
        "any",
        "which Things can have a shadow: field reports say that AWS requires no Thing; with `registered`, others get "
        "404",
        "registered",
    )
    connect_timeout_s: int = choice(30, "time from the handshake to a complete CONNECT: not documented", low=1)

    handshake_timeout_s: int = guard(10, "time for a TLS handshake", low=1)
    max_handshakes: int = guard(256, "TLS handshakes at a time; then the oldest of the busiest address ends", low=1)
    max_handshakes_per_address: int = guard(128, "the same from one address; beyond it, its oldest ends", low=1)
    http_timeout_s: int = guard(30, "time for one HTTP request to arrive, including the wait for it")
    max_http_head_bytes: int = guard(16 * 1024, "request line and headers of one HTTP request")
    max_write_buffer_bytes: int = guard(1024 * 1024, "bytes waiting for one peer; one that does not read is dropped")
    max_queued_messages: int = guard(1000, "QoS 1 messages waiting for one client; newer ones are dropped")
    max_queued_bytes: int = guard(16 * 1024 * 1024, "payload bytes waiting for one client")
    max_retained_bytes: int = guard(64 * 1024 * 1024, "payload bytes of all retained messages")
    max_connections: int = guard(
        15_000, "connections at a time; fewer if the system allows this process fewer open files"
    )
    max_environments: int = guard(
        10,
        "Lambda execution environments of the authorizer: one process for each concurrent call. AWS starts with 1,000 "
        "per account",
        low=1,
    )
    max_shadows: int = guard(20_000, "shadows, and versions of deleted ones, of which the oldest are discarded")
    job_minute_s: int = guard(60, "seconds between two batches of a job's rollout: a minute at AWS", low=1)
    environment_idle_s: int = guard(
        300, "an idle execution environment ends after this time, as at AWS after some minutes", low=1
    )
    max_watcher_messages: int = guard(1000, "messages waiting for one watcher; the oldest are dropped")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_field(field, getattr(self, field.name))
        for name in (*self.names, self.domain_name):
            if name is not None and not HOST_NAME.fullmatch(name):
                raise SettingError(f"{name!r} is not a host name")
        try:
            ipaddress.IPv4Address(self.bind)
        except ValueError:
            raise SettingError(f"bind={self.bind}: must be an IPv4 address of this machine, or 0.0.0.0") from None
        if not re.fullmatch(r"[a-z0-9-]{1,32}", self.region):
            raise SettingError(f"region={self.region}: must be a region's name, such as eu-west-1")
        if not re.fullmatch(r"[0-9]{12}", self.account):
            raise SettingError(f"account={self.account}: must be 12 digits")
        if self.max_in_flight > PACKET_IDS:
            raise SettingError(f"max_in_flight={self.max_in_flight}: there are {PACKET_IDS} packet identifiers")

    @property
    def names(self) -> tuple[str, ...]:
        """Every name and address of the default endpoint, the one that boards are given first."""
        return tuple(dict.fromkeys((self.name, *(self.also or "").split(",")) if self.also else (self.name,)))

    @property
    def arn_prefix(self) -> str:
        """The start of every ARN of this account and region, `arn:aws:iot:REGION:ACCOUNT`."""
        return f"arn:aws:iot:{self.region}:{self.account}"


def parse_setting(text: str) -> tuple[str, object]:
    """Parse `key=value` as given on the command line.

    Returns the field's name and the value in the field's type. Raises SettingError for an unknown key or a value of
    another type; ranges are checked by Settings.
    """
    key, equals, value = text.partition("=")
    field = {f.name: f for f in dataclasses.fields(Settings)}.get(key)
    if field is None or not equals:
        raise SettingError(f"{text!r}: expected key=value with a known key, such as qos2=ignore")
    if isinstance(field.default, bool):
        if value not in {"true", "false"}:
            raise SettingError(f"{key}={value}: must be true or false")
        return key, value == "true"
    if isinstance(field.default, int):
        if not re.fullmatch(r"[0-9]{1,12}", value):
            raise SettingError(f"{key}={value}: must be a whole number")
        return key, int(value)
    if value == "none" and "None" in str(field.type):
        return key, None
    return key, Path(value) if isinstance(field.default, Path) else value
