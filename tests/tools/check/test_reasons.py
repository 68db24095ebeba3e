"""What `check` concludes from the codes of a scripted server, also from those that localcore never sends."""

from __future__ import annotations

import ssl

import pytest
import trustme

from tests.firmware.servers import Handler, context, read_packet, serve_tls
from tests.support.mqtt import answers
from tests.tools.check.conftest import Way

CA = trustme.CA()


def serve(connack: bytes, puback: int = 0) -> Handler:
    """Return a server that sends `connack`, and acknowledges each PUBLISH with the reason code `puback`."""

    def handle(connection: ssl.SSLSocket) -> None:
        if connection.selected_alpn_protocol() is None:  # the step that compares the clocks
            return
        while packet := read_packet(connection):
            if packet[0] == 0x10:
                connection.sendall(connack)
            elif packet[0] & 0xF0 == 0x30:
                identifier = answers.published(answers.MQTT_5, packet).identifier
                connection.sendall(answers.puback(answers.MQTT_5, identifier, puback))
            elif packet[0] == 0x82:
                connection.sendall(answers.suback(answers.MQTT_5, packet[2:4]))

    return handle


def cause(way: Way, handler: Handler, mqtt: str = "5") -> str | None:
    with serve_tls(CA, context(CA), handler) as server:
        server.write_ca(way.folder)
        return way.write(port=server.port, transport="alpn", mqtt=mqtt).walk()


@pytest.mark.parametrize(
    ("code", "concluded"),
    [
        (0x80, "refused"),
        (0x85, "client_id_not_allowed"),
        (0x86, "not_authenticated"),
        (0x87, "not_authorized"),
        (0x88, "unavailable"),
        (0x89, "throttled"),
        (0x8B, "unavailable"),
        (0x90, "reason_given"),
        (0x97, "throttled"),
        (0x9B, "reason_given"),
        (0x9F, "throttled"),
    ],
)
def test_connack_with_a_reason_code(way: Way, code: int, concluded: str) -> None:
    assert cause(way, serve(answers.connack(answers.MQTT_5, code=code))) == concluded
    assert f"(0x{code:02x})" in way.step("CONNECT").detail


@pytest.mark.parametrize(
    ("code", "concluded"),
    [
        (1, "reason_given"),
        (2, "client_id_not_allowed"),
        (3, "unavailable"),
        (4, "not_authenticated"),
        (5, "not_authorized"),
    ],
)
def test_connack_with_a_return_code_of_311(way: Way, code: int, concluded: str) -> None:
    assert cause(way, serve(answers.connack(answers.MQTT_311, code=code)), mqtt="3.1.1") == concluded


@pytest.mark.parametrize(
    ("code", "concluded"),
    [
        (0x80, "topic_not_allowed"),
        (0x87, "topic_not_allowed"),
        (0x90, "reason_given"),
        (0x97, "throttled"),
        (0x99, "reason_given"),
    ],
)
def test_puback_with_a_reason_code(way: Way, code: int, concluded: str) -> None:
    assert cause(way, serve(answers.connack(answers.MQTT_5), code)) == concluded
    assert f"(0x{code:02x})" in way.step("publish").detail


def test_message_that_the_server_does_not_take_is_named(way: Way) -> None:
    assert cause(way, serve(answers.connack(answers.MQTT_5, properties=b"\x27\0\0\0\x14"))) == "reason_given"
    assert way.step("publish").detail.endswith("the server takes 20")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x7f" + bytes(127)])
def test_answer_that_is_not_mqtt_is_named(way: Way, answer: bytes) -> None:
    assert cause(way, serve(answer)) == "not_mqtt"
