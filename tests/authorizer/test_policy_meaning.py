"""What the rendered policy allows, as evaluated by the local endpoint."""

from collections.abc import Callable
from typing import Any

import pytest
from mqtt443_authorizer.policy import Template
from mqtt443_tools.localcore.policy.engine import PolicySet

from tests.support.aws.logins import IOT_ARN, device

Allowed = Callable[[str, str], bool]

OWN = device("myClientName", publish=("site/door",), subscribe=("site/+/state", "news/#"))


@pytest.fixture(scope="module")
def allowed() -> Any:
    policies = PolicySet.from_documents(Template.load().render(OWN, IOT_ARN))
    variables = {"iot:ClientId": "myClientName", "aws:SourceIp": "127.0.0.1"}
    return lambda action, resource: policies.evaluate(f"iot:{action}", f"{IOT_ARN}:{resource}", variables).allowed


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("Connect", "client/myClientName"),
        ("Publish", "topic/telemetry/myClientName"),
        ("Publish", "topic/telemetry/myClientName/battery"),
        ("Subscribe", "topicfilter/commands/myClientName"),
        ("Subscribe", "topicfilter/commands/myClientName/#"),
        ("Receive", "topic/commands/myClientName/restart"),
        ("Publish", "topic/site/door"),
        ("Subscribe", "topicfilter/site/+/state"),
        ("Receive", "topic/site/door/state"),
        ("Subscribe", "topicfilter/news/#"),
        ("Receive", "topic/news/today"),
    ],
)
def test_device_may_use_its_own_names(allowed: Allowed, action: str, resource: str) -> None:
    assert allowed(action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("Connect", "client/myClientName2"),
        ("Connect", "client/other"),
        ("Publish", "topic/telemetry/other"),
        ("Publish", "topic/telemetry/myClientName2"),
        ("Publish", "topic/commands/myClientName"),
        ("Publish", "topic/site/window"),
        ("RetainPublish", "topic/telemetry/myClientName"),
        ("Subscribe", "topicfilter/telemetry/myClientName"),
        ("Subscribe", "topicfilter/commands/+"),
        ("Subscribe", "topicfilter/#"),
        ("Subscribe", "topicfilter/site/door/state"),
        ("Receive", "topic/telemetry/myClientName"),
        ("Receive", "topic/commands/other"),
    ],
)
def test_device_may_use_no_other_names(allowed: Allowed, action: str, resource: str) -> None:
    assert not allowed(action, resource)
