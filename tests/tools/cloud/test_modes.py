"""The three modes, and going from one to another."""

from __future__ import annotations

from datetime import timedelta

import pytest
from mqtt443_tools.cloud import iot_authorizer
from mqtt443_tools.support.errors import CommandError

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.iot_control_plane import DOMAIN, ENDPOINT
from tests.support.aws.stubs import Refuse

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


def test_foreign_default_is_replaced_only_after_asking(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    cloud.iot.default = "theirs"
    cloud.agrees = lambda question: not question.startswith("Replace")
    with pytest.raises(CommandError, match="the default authorizer stays theirs: deploy with --mode named"):
        cloud.deploy()
    assert cloud.asked == ["Replace the default authorizer theirs (destroy puts it back)?"]
    assert (cloud.iot.default, cloud.stacks()) == ("theirs", {})


def test_destroy_restores_the_previous_default(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    cloud.iot.default = "theirs"
    cloud.deploy()
    assert cloud.iot.default == STACK
    cloud.deploy()
    assert cloud.asked == []
    cloud.destroy()
    assert cloud.iot.default == "theirs"
    assert "the account's default authorizer is theirs again" in cloud.said


def test_missing_or_inactive_previous_default_is_not_restored(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    cloud.iot.default = "theirs"
    cloud.deploy()
    cloud.iot.authorizers["theirs"]["status"] = "INACTIVE"
    cloud.destroy()
    assert cloud.iot.default is None
    assert any("theirs, the previous one, is no longer active" in line for line in cloud.said)


def test_destroy_keeps_a_default_that_was_set_since(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.iot.add_authorizer("newer")
    cloud.iot.default = "newer"
    cloud.destroy()
    assert cloud.iot.default == "newer"


def test_default_that_was_cleared_is_set_again_by_the_next_deploy(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.iot.default = None
    cloud.deploy()
    assert cloud.iot.default == STACK
    assert cloud.asked == []


def test_next_deploy_finishes_setting_the_default(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    cloud.iot.default = "theirs"
    set_default = cloud.iot.answer_set_default_authorizer
    answers = [set_default, Refuse("InternalFailureException", "", 500)]
    cloud.answers.on("iot", "set_default_authorizer", answers)
    with pytest.raises(CommandError, match="InternalFailureException"):
        cloud.deploy()
    assert cloud.iot.default is None
    cloud.answers.on("iot", "set_default_authorizer", set_default)
    cloud.deploy()
    assert cloud.iot.default == STACK
    cloud.destroy()
    assert cloud.iot.default == "theirs"


def test_default_that_aws_does_not_keep_is_detected(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("a")
    cloud.answers.on("iot", "set_default_authorizer", {"authorizerName": "a"})
    with pytest.raises(CommandError, match="the default authorizer is not set, although a was set"):
        iot_authorizer.set_default(cloud.aws, "a")


def test_named_leaves_the_default_alone_and_devices_name_the_authorizer(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    cloud.iot.default = "theirs"
    deployed = cloud.deploy(mode="named")
    assert cloud.iot.default == "theirs"
    assert cloud.asked == ["Create stack mqtt443-store?", "Create stack mqtt443?"]
    assert deployed.config() == {"endpoint": ENDPOINT, "port": 443, "authorizer": STACK}


def test_domain_mode_has_its_own_host_name(cloud: Cloud) -> None:
    deployed = cloud.deploy(mode="domain")
    assert deployed.config() == {"endpoint": DOMAIN, "port": 443, "transport": "tls"}
    made = cloud.iot.domains[STACK]
    assert (made["authenticationType"], made["applicationProtocol"]) == ("CUSTOM_AUTH", "SECURE_MQTT")
    assert made["authorizerConfig"] == {"defaultAuthorizerName": STACK, "allowAuthorizerOverride": False}
    assert "domainName" not in cloud.answers.of("create_domain_configuration")[0].parameters
    assert cloud.iot.default is None


def test_deploy_waits_for_the_host_name_of_a_domain(cloud: Cloud) -> None:
    cloud.deploy(mode="named")
    describe = cloud.iot.answer_describe_domain_configuration

    def without_host(**parameters: str) -> dict[str, object]:
        return {key: value for key, value in describe(**parameters).items() if key != "domainName"}

    cloud.answers.on("iot", "describe_domain_configuration", without_host)
    cloud.patience.on_sleep = lambda: cloud.answers.on("iot", "describe_domain_configuration", describe)
    assert cloud.deploy(mode="domain").endpoint == DOMAIN
    assert cloud.patience.now_s > 0


def test_deploy_gives_up_on_a_host_name_at_the_deadline(cloud: Cloud) -> None:
    describe = cloud.iot.answer_describe_domain_configuration
    cloud.answers.on(
        "iot",
        "describe_domain_configuration",
        lambda **parameters: {key: value for key, value in describe(**parameters).items() if key != "domainName"},
    )
    with pytest.raises(CommandError, match=r"not assigned a host name .* yet: run this again"):
        cloud.deploy(mode="domain")
    assert 60 <= cloud.patience.now_s < 70


def test_foreign_domain_is_refused_first(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    config = {"defaultAuthorizerName": "theirs"}
    cloud.iot.answer_create_domain_configuration(STACK, authorizerConfig=config)
    with pytest.raises(CommandError, match="the domain configuration mqtt443 is not mqtt443's"):
        cloud.deploy(mode="domain")
    assert cloud.stacks() == {}


def test_changed_domain_is_restored(cloud: Cloud) -> None:
    cloud.deploy(mode="domain")
    cloud.iot.domains[STACK]["authorizerConfig"] = {"defaultAuthorizerName": STACK, "allowAuthorizerOverride": True}
    cloud.deploy()
    assert cloud.iot.domains[STACK]["authorizerConfig"]["allowAuthorizerOverride"] is False
    cloud.answers.calls.clear()
    cloud.deploy()
    assert cloud.answers.of("update_domain_configuration", "create_domain_configuration") == []


def test_changing_default_to_named_restores_the_default(cloud: Cloud) -> None:
    cloud.iot.add_authorizer("theirs")
    cloud.iot.default = "theirs"
    cloud.deploy()
    cloud.deploy(mode="named")
    assert cloud.iot.default == "theirs"


def test_changing_domain_to_named_keeps_the_domain(cloud: Cloud) -> None:
    cloud.deploy(mode="domain")
    cloud.deploy(mode="named")
    assert cloud.iot.domains[STACK]["domainConfigurationStatus"] == "ENABLED"
    assert any("is kept, so that its devices stay connected" in line for line in cloud.said)


def test_destroy_disables_a_domain_now_and_says_when_it_can_be_deleted(cloud: Cloud) -> None:
    cloud.deploy(mode="domain")
    cloud.destroy()
    assert cloud.iot.domains[STACK]["domainConfigurationStatus"] == "DISABLED"
    assert cloud.said[-1] == (
        f"the domain {DOMAIN} is disabled: no device can connect there any more; AWS deletes it only after seven days: "
        "run this again after 2026-11-08 12:00 UTC"
    )
    assert list(cloud.stacks()) == ["mqtt443-store"]


def test_destroy_deletes_a_domain_that_has_rested(cloud: Cloud) -> None:
    cloud.deploy(mode="domain")
    cloud.destroy()
    cloud.iot.now += timedelta(days=6, hours=23)
    cloud.destroy()
    assert STACK in cloud.iot.domains
    cloud.iot.now += timedelta(hours=1)
    cloud.destroy()
    assert cloud.iot.domains == {}
    assert cloud.said[-1] == "the domain configuration mqtt443 was deleted"


def test_domain_that_aws_still_keeps_is_reported(cloud: Cloud) -> None:
    cloud.deploy(mode="domain")
    cloud.destroy()
    cloud.iot.now += timedelta(days=8)
    cloud.answers.on("iot", "delete_domain_configuration", Refuse("InvalidRequestException", "not yet"))
    cloud.destroy()
    assert cloud.said[-1].endswith("yet: run this again tomorrow")


def test_deploy_within_the_seven_days_finds_the_host_name_again(cloud: Cloud) -> None:
    cloud.deploy(mode="domain")
    cloud.destroy()
    cloud.iot.now += timedelta(days=3)
    assert cloud.deploy(mode="domain").endpoint == DOMAIN
    found = cloud.iot.domains[STACK]
    assert found["domainConfigurationStatus"] == "ENABLED"
    assert found["authorizerConfig"]["defaultAuthorizerName"] == STACK
