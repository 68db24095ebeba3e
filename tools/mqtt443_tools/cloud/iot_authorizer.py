"""The authorizer as AWS IoT knows it, and the account's default authorizer, which no CloudFormation type can set.

That CloudFormation says an authorizer is there is not believed: AWS IoT is asked.
"""

import secrets
from typing import Any

from mqtt443_tools.cloud.aws import Aws, AwsError
from mqtt443_tools.cloud.token_signing import SigningKey
from mqtt443_tools.support.errors import CommandError

STRANGER = "mqtt443-deploy-check"


def describe(aws: Aws, name: str) -> dict[str, Any] | None:
    """Describe an authorizer, None if there is none."""
    found = aws.find("iot", "describe_authorizer", authorizerName=name)
    return None if found is None else dict(found["authorizerDescription"])


def verify(aws: Aws, name: str, function: str, *, signing: bool) -> None:
    """See that AWS IoT has the authorizer that the stack made, and make it active if it is not.

    :param function: name of its Lambda function
    :raises CommandError: it is not there, or another one is
    """
    found = describe(aws, name)
    if found is None:
        raise CommandError(
            f"CloudFormation reports the authorizer {name}, but AWS IoT has none in {aws.region}: "
            "delete the stack in the AWS console, then run the command again"
        )
    if not str(found["authorizerFunctionArn"]).endswith(f":function:{function}"):
        raise CommandError(f"the authorizer {name} calls another function than the stack's: choose another --stack")
    if found.get("signingDisabled", False) == signing:
        raise CommandError(f"token signing of the authorizer {name} is not as asked for: choose another --stack")
    if found["status"] != "ACTIVE":
        aws.call("iot", "update_authorizer", authorizerName=name, status="ACTIVE")


def deactivate(aws: Aws, name: str) -> None:
    """Switch an authorizer off, as AWS deletes none that is active (AWS CLI reference, delete-authorizer)."""
    found = describe(aws, name)
    if found is not None and found["status"] == "ACTIVE":
        aws.call("iot", "update_authorizer", authorizerName=name, status="INACTIVE")


def try_stranger(aws: Aws, name: str, key: SigningKey | None) -> str:
    """Have AWS IoT ask the authorizer about somebody who does not exist; says in one line what came of it.

    :param key: to sign a token with, if the authorizer wants one
    :raises CommandError: the stranger was let in
    """
    parameters: dict[str, Any] = {}
    if key is not None:
        parameters["token"], parameters["tokenSignature"] = key.issue()
    mqtt = {"username": STRANGER, "password": secrets.token_urlsafe(16).encode(), "clientId": STRANGER}
    try:
        answer = aws.call("iot", "test_invoke_authorizer", authorizerName=name, mqttContext=mqtt, **parameters)
    except AwsError as error:
        return f"could not try the authorizer: {error}"
    if answer.get("isAuthenticated"):
        raise CommandError(f"the authorizer {name} let a stranger in: run `mqtt443 cloud destroy --stack {name}`")
    return "tried the authorizer: it answers, and refuses a stranger"


def default_name(aws: Aws) -> str | None:
    """Give the name of the account's default authorizer, None if there is none."""
    found = aws.find("iot", "describe_default_authorizer")
    return None if found is None else str(found["authorizerDescription"]["authorizerName"])


def set_default(aws: Aws, name: str) -> None:
    """Make an authorizer the account's default.

    AWS does not document when SetDefaultAuthorizer says that there is one already; then that one is cleared first.
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
        raise CommandError(f"AWS IoT has {now or 'no'} default authorizer though {name} was set: run the command again")


def give_back_default(aws: Aws, name: str, previous: str) -> str | None:
    """If an authorizer is the default, put back the one before it; says what was done, None if nothing.

    :param previous: name of the one before, "" if there was none
    """
    if default_name(aws) != name:
        return None
    earlier = describe(aws, previous) if previous else None
    if earlier is not None and earlier["status"] == "ACTIVE":
        set_default(aws, previous)
        return f"the account's default authorizer is {previous} again"
    aws.find("iot", "clear_default_authorizer")
    gone = f" ({previous}, the one before, is not active any more)" if previous else ""
    return f"the account has no default authorizer any more{gone}"
