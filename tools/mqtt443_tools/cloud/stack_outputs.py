"""What a device needs to know of a deployed stack, read back from the stack and from AWS IoT."""

from dataclasses import dataclass

from mqtt443_tools.cloud import domain
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deploy_options import Mode
from mqtt443_tools.cloud.stacks import Stack
from mqtt443_tools.support.errors import CommandError

PORT = 443


@dataclass(frozen=True)
class Deployed:
    """What a device needs to know of a deployed stack."""

    stack: str
    region: str
    account: str
    mode: Mode
    endpoint: str
    table: str
    refresh_s: int
    memory_mb: int
    signing: bool
    port: int = PORT

    def config(self) -> dict[str, object]:
        """Return the keys of config.json that lead a device here."""
        keys: dict[str, object] = {"endpoint": self.endpoint, "port": self.port}
        if self.mode == "named":
            keys["authorizer"] = self.stack
        if self.mode == "domain":
            keys["transport"] = "tls"
        return keys


def locate(aws: Aws, name: str, stack: Stack) -> Deployed:
    """Read it back. Raises CommandError if it is incomplete."""
    mode: Mode = stack.parameters["Mode"]  # type: ignore[assignment]  # the template allows these three
    if mode == "domain":
        endpoint = (domain.describe(aws, name) or {}).get("domainName")
        if not endpoint:
            raise CommandError(f"the domain configuration {name} does not exist: run `mqtt443 cloud deploy`")
    else:
        endpoint = aws.call("iot", "describe_endpoint", endpointType="iot:Data-ATS")["endpointAddress"]
    return Deployed(
        stack=name,
        region=aws.region,
        account=aws.account,
        mode=mode,
        endpoint=str(endpoint),
        table=stack.parameters["TableName"],
        refresh_s=int(stack.parameters["RefreshSeconds"]),
        memory_mb=int(stack.parameters["MemoryMb"]),
        signing=bool(stack.parameters.get("SigningPublicKey")),
    )
