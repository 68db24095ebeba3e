"""The authorizer as AWS IoT knows it, and the account's default authorizer, which no CloudFormation type can set.

CloudFormation reporting an authorizer is not enough: AWS IoT is asked.
"""

import secrets
from typing import Any

from mqtt443_tools.cloud.aws import Aws, AwsError
from mqtt443_tools.cloud.token_signing import SigningKey
from mqtt443_tools.support.errors import CommandError

SMOKE_TEST = "mqtt443-smoke-test"


def describe(aws: Aws, name: str) -> dict[str, Any] | None:
    """Describe an authorizer; None if it does not exist."""
    found = aws.find("iot", "describe_authorizer", authorizerName=name)
    return None if found is None else dict(found["authorizerDescription"])


def verify(aws: Aws, name: str, function: str, *, signing: bool) -> None:
    """Check that AWS IoT has the authorizer that the stack made, and activate it if it is inactive.

    Args:
        aws: account and region.
        name: of the authorizer.
        function: name of its Lambda function.
        signing: whether devices send a signed token.

    Raises:
        CommandError: it is not there, or another one is.
    """
    found = describe(aws, name)
    if found is None:
        raise CommandError(
            f"CloudFormation reports the authorizer {name}, but AWS IoT has none in {aws.region}: "
            "delete the stack in the AWS console, then run the command again"
        )
    if not str(found["authorizerFunctionArn"]).endswith(f":function:{function}"):
        raise CommandError(f"the authorizer {name} does not call the stack's function: choose another --stack")
    if found.get("signingDisabled", False) == signing:
        raise CommandError(f"token signing of the authorizer {name} is not what you asked for: choose another --stack")
    if found["status"] != "ACTIVE":
        aws.call("iot", "update_authorizer", authorizerName=name, status="ACTIVE")


def deactivate(aws: Aws, name: str) -> None:
    """Deactivate an authorizer: AWS deletes only inactive ones (AWS CLI reference, delete-authorizer)."""
    found = describe(aws, name)
    if found is not None and found["status"] == "ACTIVE":
        aws.call("iot", "update_authorizer", authorizerName=name, status="INACTIVE")


def smoke_test(aws: Aws, name: str, key: SigningKey | None) -> str:
    """Have AWS IoT ask the authorizer about a device that does not exist; return the outcome in one line.

    Args:
        aws: account and region.
        name: of the authorizer.
        key: to sign a token with, if the authorizer wants one.

    Raises:
        CommandError: the unknown device was let in.
    """
    parameters: dict[str, Any] = {}
    if key is not None:
        parameters["token"], parameters["tokenSignature"] = key.issue()
    mqtt = {"username": SMOKE_TEST, "password": secrets.token_urlsafe(16).encode(), "clientId": SMOKE_TEST}
    try:
        answer = aws.call("iot", "test_invoke_authorizer", authorizerName=name, mqttContext=mqtt, **parameters)
    except AwsError as error:
        return f"smoke test skipped: {error}"
    if answer.get("isAuthenticated"):
        raise CommandError(
            f"the authorizer {name} let an unknown device in: run `mqtt443 cloud destroy --stack {name}`"
        )
    return "smoke test passed: the authorizer answers, and refuses an unknown device"


def default_name(aws: Aws) -> str | None:
    """Return the name of the account's default authorizer; None if it has none."""
    found = aws.find("iot", "describe_default_authorizer")
    return None if found is None else str(found["authorizerDescription"]["authorizerName"])


def set_default(aws: Aws, name: str) -> None:
    """Make an authorizer the account's default.

    AWS does not document when SetDefaultAuthorizer fails because a default exists; if it does, that one is cleared.
    """
    if default_name(aws) == name:
        return
    try:
        aws.call("iot", "set_default_authorizer", authorizerName=name)
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise
        aws.find("iot", "clear_default_authorizer")
        aws.call("iot", "set_default_authorizer", authorizerName=name)
    if (now := default_name(aws)) != name:
        raise CommandError(
            f"the default authorizer is {now or 'not set'}, although {name} was set: run the command again"
        )


def give_back_default(aws: Aws, name: str, previous: str) -> str | None:
    """If an authorizer is the default, restore the previous one; return a line about it, None if nothing was done.

    Args:
        aws: account and region.
        name: of the authorizer.
        previous: name of the one before, "" if there was none.
    """
    if default_name(aws) != name:
        return None
    earlier = describe(aws, previous) if previous else None
    if earlier is not None and earlier["status"] == "ACTIVE":
        set_default(aws, previous)
        return f"the account's default authorizer is {previous} again"
    aws.find("iot", "clear_default_authorizer")
    gone = f" ({previous}, the previous one, is no longer active)" if previous else ""
    return f"the account no longer has a default authorizer{gone}"
