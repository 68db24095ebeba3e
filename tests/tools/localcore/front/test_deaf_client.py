"""A client that does not read: how much waits for it, and when its connection ends."""

from __future__ import annotations

from pathlib import Path

from mqtt443_tools.localcore.mqtt.session import Message

from tests.support.mqtt.client import RawClient, Suback, client_publish, client_subscribe
from tests.support.mqtt.endpoint import RunningCore

PASSWORD = "secret"


def subscribe(client: RawClient) -> None:
    """Connect as `sub`, and subscribe to the news."""
    client.connect("sub")
    client.send(client_subscribe(("news", 0)))
    assert client.receive() == Suback(1, (0,))


def test_client_that_does_not_read_is_cut(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state", max_write_buffer_bytes=200_000, publish_rate_per_s=0) as core:
        core.add_device("pub", password=PASSWORD, publish=["news"])
        core.add_device("sub", password=PASSWORD, subscribe=["news"])
        with RawClient(core) as publisher, RawClient(core) as deaf:
            subscribe(deaf)
            publisher.connect("pub")
            for _ in range(200):  # 25 MB: far more than the kernel's buffers take
                publisher.send(client_publish("news", bytes(128_000)))
            event = core.next_event("closed")
            assert (event.client_id, event.reason) == ("sub", "CONNECTION_LOST")
            assert "does not read" in event.detail


def test_no_more_waits_for_a_client_than_a_small_limit_allows(tmp_path: Path) -> None:
    limit, size = 10_000, 5000
    with RunningCore(tmp_path / "state", max_write_buffer_bytes=limit, publish_rate_per_s=0) as core:
        core.add_device("sub", password=PASSWORD, subscribe=["news"])

        def publish() -> int:
            core.core.broker.publish(Message("news", bytes(size), 0, False, None, 0))
            return max((each.tls.waiting_bytes for each in core.core._connections), default=0)

        with RawClient(core) as deaf:
            subscribe(deaf)
            waiting: list[int] = []
            while core.run(core.core.broker.connected):
                assert len(waiting) < 5000, "25 MB: far more than the kernel's buffers take"
                waiting.append(core.run(publish))
    assert 0 < max(waiting) <= limit + 2 * size
