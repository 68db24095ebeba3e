"""What the policy refuses of shadows, to a client of MQTT 5: told by a reason code, where 3.1.1 is only closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.mqtt.client import RawClient, client_publish
from tests.support.mqtt.client5 import Disconnect5, Inbox5, Puback5, Suback5, connect5, publish5, subscribe5
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.localcore.front.test_shadow_clients import BASE, PASSWORD, UPDATE, registered, subscribed, told

__all__ = ["registered"]

NOT_AUTHORIZED = 0x87


@pytest.mark.parametrize(
    ("packet", "answer", "missing"),
    [
        (publish5(f"{BASE}/get", b"", 1), Puback5, f":topic/{BASE}/get"),
        (publish5(f"{BASE}/delete", b"", 1), Puback5, f":topic/{BASE}/delete"),
        (publish5(f"{BASE}/name/config/update", UPDATE, 1), Puback5, f":topic/{BASE}/name/config/update"),
        (publish5(f"{BASE}/get"), Disconnect5, f":topic/{BASE}/get"),
        (subscribe5((f"{BASE}/get/accepted", 0)), Suback5, f":topicfilter/{BASE}/get/accepted"),
        (subscribe5((f"{BASE}/#", 0)), Suback5, f":topicfilter/{BASE}/#"),
    ],
    ids=["get", "delete", "update", "get with QoS 0", "get/accepted", "all"],
)
def test_policy_refuses_with_the_reason_code_of_mqtt_5(
    registered: RunningCore, packet: bytes, answer: type[Disconnect5 | Puback5 | Suback5], missing: str
) -> None:
    with subscribed(registered, f"{BASE}/#") as device, RawClient(registered) as app:
        app._inbox = Inbox5()
        receive: Callable[[], Any] = app.receive  # packets of MQTT 5
        app.send(connect5("app", "app", PASSWORD.encode()))
        assert receive().code == 0
        app.send(packet)
        refused = receive()
        assert isinstance(refused, answer)
        codes = refused.codes if isinstance(refused, Suback5) else (refused.code,)
        assert codes == (NOT_AUTHORIZED,)
        assert (refused.reason or "").startswith("no statement allows iot:")
        assert (refused.reason or "").endswith(missing)
        if answer is Disconnect5:
            assert receive() is None
        else:
            app.send(publish5(f"{BASE}/update", UPDATE, 1))  # allowed, on the same connection
            assert receive() == Puback5(1)
            assert "update/delta" in told(device, 4)
        device.send(client_publish(f"{BASE}/get"))
        assert ("get/rejected" in told(device, 2)) == (answer is Disconnect5)
