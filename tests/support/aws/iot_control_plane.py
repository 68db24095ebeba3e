"""AWS IoT's control plane in memory, for what moto lacks, with the rules that AWS documents.

moto takes a template with an AWS::IoT::Authorizer, ignores it, and reports CREATE_COMPLETE. So this module creates the
authorizers of moto's stacks; a test can switch that off to see which code notices.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.aws.stubs import ACCOUNT, REGION, Answers, Refuse

ENDPOINT = "a1b2c3-ats.iot.eu-west-1.amazonaws.com"
DOMAIN = "d0123456789abcdefghij-ats.iot.eu-west-1.amazonaws.com"
MISSING = Refuse("ResourceNotFoundException", "not found", 404)


class AwsIot:
    """One account's AWS IoT, answering on a session.

    Args:
        moto: a client of CloudFormation that reaches moto alone.

    Attributes:
        carries: whether authorizers follow what CloudFormation reports.
        says: what TestInvokeAuthorizer answers.
    """

    def __init__(self, answers: Answers, moto: Any) -> None:
        self.authorizers: dict[str, dict[str, Any]] = {}
        self.default: str | None = None
        self.domains: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.connected: set[str] = set()
        self.disconnected: dict[str, int] = {}
        """Unix milliseconds of the disconnections that are not forgotten yet."""
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)
        self.carries = True
        self.says: Any = {"isAuthenticated": False}
        self._moto = moto
        for name in dir(self):
            if name.startswith("answer_"):
                answers.on("iot", name.removeprefix("answer_"), getattr(self, name))
        answers.on("iot-data", "delete_connection", self._delete_connection)
        answers.on("iot-data", "get_connection", self._get_connection)
        answers.session.events.register("after-call.cloudformation.ExecuteChangeSet", self._carry)
        answers.session.events.register("before-call.cloudformation.DeleteStack", self._let_go)
        answers.session.events.register("after-call.cloudformation.ListStackResources", self._list)

    def add_authorizer(self, name: str, function: str = "theirs", **fields: Any) -> None:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
        self.authorizers[name] = {
            "authorizerName": name,
            "authorizerArn": f"arn:aws:iot:{REGION}:{ACCOUNT}:authorizer/{name}",
            "authorizerFunctionArn": arn,
            "status": "ACTIVE",
            "signingDisabled": True,
            **fields,
        }

    def answer_describe_endpoint(self, endpointType: str) -> dict[str, Any]:
        assert endpointType == "iot:Data-ATS"
        return {"endpointAddress": ENDPOINT}

    def answer_describe_authorizer(self, authorizerName: str) -> dict[str, Any]:
        return {"authorizerDescription": self._authorizer(authorizerName)}

    def answer_update_authorizer(self, authorizerName: str, status: str) -> None:
        if status == "INACTIVE" and self.default == authorizerName:
            raise Refuse("InvalidRequestException", "it is the default")
        self._authorizer(authorizerName)["status"] = status

    def answer_test_invoke_authorizer(self, authorizerName: str, **_: Any) -> dict[str, Any]:
        self._authorizer(authorizerName)
        if isinstance(self.says, Exception):
            raise self.says
        return dict(self.says)

    def answer_describe_default_authorizer(self) -> dict[str, Any]:
        if self.default is None:
            raise MISSING
        return {"authorizerDescription": self._authorizer(self.default)}

    def answer_set_default_authorizer(self, authorizerName: str) -> dict[str, Any]:
        self._authorizer(authorizerName)
        if self.default not in (None, authorizerName):
            raise Refuse("ResourceAlreadyExistsException", "there is one", 409)
        self.default = authorizerName
        return {"authorizerName": authorizerName}

    def answer_clear_default_authorizer(self) -> None:
        if self.default is None:
            raise MISSING
        self.default = None

    def answer_create_domain_configuration(self, domainConfigurationName: str, **fields: Any) -> dict[str, Any]:
        if domainConfigurationName in self.domains:
            raise Refuse("ResourceAlreadyExistsException", "there is one", 409)
        self._authorizer(fields["authorizerConfig"]["defaultAuthorizerName"])
        arn = f"arn:aws:iot:{REGION}:{ACCOUNT}:domainconfiguration/{domainConfigurationName}/abcde"
        self.tags[arn] = fields.pop("tags", [])
        self.domains[domainConfigurationName] = {
            "domainConfigurationName": domainConfigurationName,
            "domainConfigurationArn": arn,
            "domainName": DOMAIN,
            "domainType": "AWS_MANAGED",
            "serviceType": "DATA",
            "domainConfigurationStatus": "ENABLED",
            "lastStatusChangeDate": self.now,
            **fields,
        }
        return {"domainConfigurationName": domainConfigurationName, "domainConfigurationArn": arn}

    def answer_describe_domain_configuration(self, domainConfigurationName: str) -> dict[str, Any]:
        return dict(self._domain(domainConfigurationName))

    def answer_update_domain_configuration(
        self, domainConfigurationName: str, *, removeAuthorizerConfig: bool = False, **fields: Any
    ) -> None:
        domain = self._domain(domainConfigurationName)
        if (
            fields.get("domainConfigurationStatus", domain["domainConfigurationStatus"])
            != (domain["domainConfigurationStatus"])
        ):
            domain["lastStatusChangeDate"] = self.now
        domain.update(fields)
        if removeAuthorizerConfig:
            domain.pop("authorizerConfig", None)

    def answer_delete_domain_configuration(self, domainConfigurationName: str) -> None:
        domain = self._domain(domainConfigurationName)
        rested = self.now - domain["lastStatusChangeDate"] >= timedelta(days=7)
        if domain["domainConfigurationStatus"] != "DISABLED" or not rested:
            raise Refuse("InvalidRequestException", "it must be disabled for seven days")
        del self.domains[domainConfigurationName]

    def answer_list_tags_for_resource(self, resourceArn: str, **_: Any) -> dict[str, Any]:
        return {"tags": self.tags[resourceArn]}

    def _get_connection(self, clientId: str) -> dict[str, Any]:
        if clientId in self.connected:
            return {"connected": True, "clientId": clientId, "connectedSince": 1_796_000_000_000}
        if clientId not in self.disconnected:
            raise MISSING
        return {"connected": False, "clientId": clientId, "disconnectedSince": self.disconnected[clientId]}

    def _delete_connection(self, clientId: str) -> None:
        if clientId not in self.connected:
            raise MISSING
        self.connected.remove(clientId)

    def _authorizer(self, name: str) -> dict[str, Any]:
        if name not in self.authorizers:
            raise MISSING
        return self.authorizers[name]

    def _domain(self, name: str) -> dict[str, Any]:
        if name not in self.domains:
            raise MISSING
        return self.domains[name]

    def _carry(self, parsed: dict[str, Any], **_: Any) -> None:
        """Make the authorizers of the stacks, as CloudFormation would have."""
        if not self.carries or "Error" in parsed:
            return
        for stack in self._moto.describe_stacks()["Stacks"]:
            parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())}
            outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
            if "FunctionName" in outputs:
                key = parameters["SigningPublicKey"]
                signing = {"tokenKeyName": "mqtt443-token", "tokenSigningPublicKeys": {"mqtt443": key}} if key else {}
                self.add_authorizer(stack["StackName"], outputs["FunctionName"], signingDisabled=not key, **signing)

    def _let_go(self, context: dict[str, Any], **_: Any) -> None:
        name = context["noted"]["StackName"].split("/")[-2] if "/" in context["noted"]["StackName"] else None
        if name not in self.authorizers:
            return
        assert self.authorizers[name]["status"] == "INACTIVE", "AWS deletes no active authorizer"
        assert self.default != name, "AWS deletes no default authorizer"
        named = [each.get("authorizerConfig", {}).get("defaultAuthorizerName") for each in self.domains.values()]
        assert name not in named, "the domain configuration still names it"
        del self.authorizers[name]

    def _list(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        name = context["noted"]["StackName"]
        listed = [each["LogicalResourceId"] for each in parsed.get("StackResourceSummaries", ())]
        if name in self.authorizers and "Authorizer" not in listed:
            parsed["StackResourceSummaries"].append(
                {"LogicalResourceId": "Authorizer", "PhysicalResourceId": name, "ResourceType": "AWS::IoT::Authorizer"}
            )
