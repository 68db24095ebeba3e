"""The domain configuration of `--mode domain`: CUSTOM_AUTH and SECURE_MQTT, so that a board needs no ALPN.

It is not in the template: AWS deletes such a domain only after it has been disabled for seven days, so a stack with it
could not be deleted; and its host name, which AWS chooses, is in every board's config.json: a new deploy within those
days finds it again. Rules: AWS IoT Developer Guide, "Creating and configuring AWS-managed domains" and "Managing
domain configurations".
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from mqtt443_tools.cloud.aws import Aws, AwsError
from mqtt443_tools.cloud.stacks import TAG, Pace
from mqtt443_tools.support.errors import CommandError

REST = timedelta(days=7)
HOST_DEADLINE_S = 60.0
INTERVAL_S = 2.0
_KIND = {"authenticationType": "CUSTOM_AUTH", "applicationProtocol": "SECURE_MQTT"}


def describe(aws: Aws, name: str) -> dict[str, Any] | None:
    """Describe our domain configuration of this name, None if there is none.

    Raises:
        CommandError: there is one that is not ours.
    """
    found = aws.find("iot", "describe_domain_configuration", domainConfigurationName=name)
    if found is None:
        return None
    tags = aws.items("iot", "list_tags_for_resource", "tags", resourceArn=found["domainConfigurationArn"])
    if not any(tag["Key"] == TAG and tag.get("Value") == name for tag in tags):
        raise CommandError(f"the domain configuration {name} is not mqtt443's: choose another name with --stack")
    return found


def ensure(aws: Aws, name: str, pace: Pace) -> str:
    """Create the domain configuration, or restore it; return its host name."""
    wanted: dict[str, Any] = {
        **_KIND,
        "authorizerConfig": {"defaultAuthorizerName": name, "allowAuthorizerOverride": False},
    }
    found = describe(aws, name)
    if found is None:
        tags = [{"Key": TAG, "Value": name}]
        aws.call("iot", "create_domain_configuration", domainConfigurationName=name, tags=tags, **wanted)
    else:
        wanted["domainConfigurationStatus"] = "ENABLED"
        if differences(found, name):
            aws.call("iot", "update_domain_configuration", domainConfigurationName=name, **wanted)
    return _host(aws, name, pace)


def differences(found: dict[str, Any], name: str) -> list[str]:
    """Return the names of the settings that are not as `ensure` leaves them."""
    config = found.get("authorizerConfig", {})
    checks = {
        "status": found.get("domainConfigurationStatus") == "ENABLED",
        "authentication type": found.get("authenticationType") == _KIND["authenticationType"],
        "application protocol": found.get("applicationProtocol") == _KIND["applicationProtocol"],
        "default authorizer": config.get("defaultAuthorizerName") == name,
        "authorizer override": config.get("allowAuthorizerOverride") is False,
    }
    return [what for what, is_right in checks.items() if not is_right]


def delete(aws: Aws, name: str, now: datetime) -> str | None:
    """Disable the domain configuration, and delete it after its rest; return how far it got, None if there is none.

    Args:
        aws: account and region.
        name: of the domain configuration.
        now: with a time zone.
    """
    found = describe(aws, name)
    if found is None:
        return None
    if found.get("domainConfigurationStatus") != "DISABLED":
        disabled = {"domainConfigurationName": name, "domainConfigurationStatus": "DISABLED"}
        aws.call("iot", "update_domain_configuration", **disabled)
        found = describe(aws, name) or found
    if found.get("authorizerConfig"):
        # AWS does not document whether it deletes an authorizer that a domain names; so the domain stops naming it.
        aws.call("iot", "update_domain_configuration", domainConfigurationName=name, removeAuthorizerConfig=True)
    disabled_at: datetime = found.get("lastStatusChangeDate") or now
    deletable_at = disabled_at.astimezone(UTC) + REST
    if now >= deletable_at:
        try:
            aws.call("iot", "delete_domain_configuration", domainConfigurationName=name)
        except AwsError as error:
            if error.code != "InvalidRequestException":
                raise
            return (
                f"AWS does not delete the disabled domain {found.get('domainName', name)} yet: run this again tomorrow"
            )
        return f"the domain configuration {name} was deleted"
    return (
        f"the domain {found.get('domainName', name)} is disabled: no device can connect there any more; AWS deletes it "
        f"only after seven days: run this again after {deletable_at:%Y-%m-%d %H:%M} UTC"
    )


def _host(aws: Aws, name: str, pace: Pace) -> str:
    deadline = pace.now() + HOST_DEADLINE_S
    while True:
        found = describe(aws, name) or {}
        if host := found.get("domainName"):
            return str(host)
        if pace.now() >= deadline:
            raise CommandError(
                f"AWS has not assigned a host name to the domain configuration {name} yet: run this again"
            )
        pace.sleep(INTERVAL_S)
