"""Asks AWS, if there are credentials: about endpoint, authorizer, permission, a test call, its policy.

Reads only, except for one real call of the authorizer. A call that the credentials do not allow skips its step: it
proves nothing about the board.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mqtt443_tools.check.step import BoardConfig, Broken, Skipped
from mqtt443_tools.cloud.aws import Aws, AwsError
from mqtt443_tools.localcore.localcore_errors import PolicyError
from mqtt443_tools.localcore.policy.engine import PolicySet

MAX_DOMAINS = 10
"""Domain configurations of an account (General Reference, "AWS IoT Core endpoints and quotas")."""


class AwsSide:
    """An account, asked about one config.

    Args:
        aws: account and region.
        config: the board's.
    """

    def __init__(self, aws: Aws, config: BoardConfig) -> None:
        self._aws = aws
        self._config = config
        self._domain: dict[str, Any] | None = None
        self._authorizer: dict[str, Any] = {}
        self._policies: list[object] = []

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Yield the steps in order; each needs all earlier ones to be ok."""
        for name, step in (
            ("AWS endpoint", self._endpoint),
            ("AWS authorizer", self._find_authorizer),
            ("AWS permission", self._permission),
            ("AWS test call", self._test_call),
            ("AWS policy", self._policy),
        ):
            yield name, partial(_allowed, step)

    def _endpoint(self) -> str:
        here = self._aws.call("iot", "describe_endpoint", endpointType="iot:Data-ATS")["endpointAddress"]
        if self._config.endpoint == here:
            return f"the endpoint of account {self._aws.account} in {self._aws.region}"
        found = self._aws.items("iot", "list_domain_configurations", "domainConfigurations")
        for _, summary in zip(range(MAX_DOMAINS), found, strict=False):
            name = summary["domainConfigurationName"]
            domain = self._aws.call("iot", "describe_domain_configuration", domainConfigurationName=name)
            if domain.get("domainName") == self._config.endpoint:
                self._domain = domain
                return f"domain configuration {name} of account {self._aws.account}"
        raise Broken(
            "wrong_endpoint",
            f"account {self._aws.account} has {here} in {self._aws.region}; for a different account add --profile",
        )

    def _find_authorizer(self) -> str:
        name, how = self._config.authorizer, "named by config.json"
        if name is None and self._domain is not None:
            name = self._domain.get("authorizerConfig", {}).get("defaultAuthorizerName")
            how = "the domain configuration's"
        elif name is None:
            default = self._aws.find("iot", "describe_default_authorizer")
            name = default and default["authorizerDescription"]["authorizerName"]
            how = "the account's default"
        if not name:
            raise Broken("no_default_authorizer", "config.json names none, and the account has no default")
        found = self._aws.find("iot", "describe_authorizer", authorizerName=name)
        if found is None:
            raise Broken("no_such_authorizer", f"the authorizer {name} does not exist")
        self._authorizer = found["authorizerDescription"]
        if self._authorizer.get("status") != "ACTIVE":
            raise Broken("authorizer_inactive", f"the authorizer {name} is {self._authorizer.get('status')}")
        return f"{name}, {how}, is active"

    def _permission(self) -> str:
        function, source = self._authorizer["authorizerFunctionArn"], self._authorizer["authorizerArn"]
        found = self._aws.find("lambda", "get_policy", FunctionName=function)
        statements = json.loads(found["Policy"]).get("Statement", []) if found else []
        if not any(_lets_iot(statement, source) for statement in statements):
            raise Broken("authorizer_not_invokable", f"{function} does not let iot.amazonaws.com call it")
        return f"AWS IoT may call {function}"

    def _test_call(self) -> str:
        config = self._config
        mqtt: dict[str, Any] = {"clientId": config.client_id}
        if config.username:
            mqtt["username"] = config.username
        if config.password:
            mqtt["password"] = config.password.encode()
        token = {"token": config.token, "tokenSignature": config.token_signature} if config.token else {}
        name = self._authorizer["authorizerName"]
        try:
            answer = self._aws.call("iot", "test_invoke_authorizer", authorizerName=name, mqttContext=mqtt, **token)
        except AwsError as error:
            if error.code == "InvalidResponseException":
                raise Broken("authorizer_crashes", "its answer is missing or invalid") from error
            raise
        if not answer.get("isAuthenticated"):
            raise Broken("not_authenticated", f"{name} refuses this user name, password and client id")
        self._policies = [json.loads(document) for document in answer.get("policyDocuments", [])]
        return f"{name} lets the device in"

    def _policy(self) -> str:
        config = self._config
        try:
            policies = PolicySet.from_documents(self._policies)
        except PolicyError as error:
            raise Broken("authorizer_crashes", f"its policy is not valid: {error}") from error
        prefix = ":".join(self._authorizer["authorizerArn"].split(":")[:5])
        variables = {"iot:ClientId": config.client_id, "iot:DomainName": config.endpoint}
        for code, action, resource in (
            ("connect_not_allowed", "iot:Connect", f"client/{config.client_id}"),
            ("topic_not_allowed", "iot:Publish", f"topic/{config.topic}"),
        ):
            verdict = policies.evaluate(action, f"{prefix}:{resource}", variables)
            if not verdict.allowed:
                raise Broken(code, verdict.explanation)
        return f"allows iot:Connect, and iot:Publish on {config.topic}"


def _allowed(step: Callable[[], str]) -> str:
    try:
        return step()
    except AwsError as error:
        raise Skipped(str(error)) from error


def _lets_iot(statement: Any, source: str) -> bool:
    """Whether a statement of a Lambda's policy lets AWS IoT call it for an authorizer."""
    principal = statement.get("Principal", {})
    service = principal.get("Service") if isinstance(principal, dict) else principal
    services = service if isinstance(service, list) else [service]
    arns = {
        arn
        for operator, keys in statement.get("Condition", {}).items()
        for key, arn in keys.items()
        if operator.startswith(("Arn", "String")) and key.lower() == "aws:sourcearn"
    }
    return statement.get("Effect") == "Allow" and "iot.amazonaws.com" in services and (not arns or source in arns)
