"""The devices of a deployed stack, for `mqtt443 device --stack`: table, connections, config.json."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.secret import MAX_SECRETS

from mqtt443_tools.cloud import authorizer_log
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deployed_policy import deployed_policy
from mqtt443_tools.cloud.stack_outputs import Deployed, locate
from mqtt443_tools.cloud.stacks import Pace, Stack, Stacks, check_name
from mqtt443_tools.cloud.token_signing import SigningKey, key_path
from mqtt443_tools.support.activity import Activity
from mqtt443_tools.support.amazon_roots import write_amazon_roots
from mqtt443_tools.support.errors import CommandError

MAX_ASKED, ASKED_AT_ONCE = 200, 10
"""Devices that a list asks AWS about; more would take minutes, and calls that others need."""


class AwsBackend:
    """The devices of one stack, as a DeviceBackend.

    Args:
        aws: account and region.
        name: of the stack.
        state: folder with the key that signs tokens.
    """

    if_still_connected = "run the command again"

    def __init__(self, aws: Aws, name: str, state: Path) -> None:
        check_name(name)
        self._aws = aws
        self._name = name
        self._state = state

    @cached_property
    def stack(self) -> Stack:
        """The authorizer's stack. Raises CommandError if it is not deployed."""
        stack = Stacks(self._aws, lambda _: None, Pace()).find(self._name)
        if stack is None or "TableName" not in stack.outputs:
            raise CommandError(
                f"there is no deployed stack {self._name} in {self._aws.region}: "
                f"run `mqtt443 cloud deploy --stack {self._name}`, or name another --region"
            )
        return stack

    @cached_property
    def store(self) -> DynamoStore:
        """The table of its devices."""
        return DynamoStore(self.stack.outputs["TableName"], self._aws.client("dynamodb"))

    @cached_property
    def deployed(self) -> Deployed:
        """What a device must know to reach the stack."""
        return locate(self._aws, self._name, self.stack)

    def template(self) -> Template:
        """See DeviceBackend: the deployed one."""
        own = deployed_policy(self._aws, self.stack)
        if own is None:
            return Template.load()
        try:
            return Template(json.loads(own))
        except (ValueError, RecursionError) as error:
            raise CommandError(f"the deployed policy of {self._name} is not JSON: deploy with --policy FILE") from error

    def address(self) -> tuple[str, int]:
        """See DeviceBackend."""
        return self.deployed.endpoint, self.deployed.port

    def config(self) -> dict[str, object]:
        """See DeviceBackend: with a new signed token where one is needed."""
        config = self.deployed.config()
        if self.deployed.signing:
            path = key_path(self._state, self._name, self._aws.account, self._aws.region)
            try:
                config |= SigningKey.load(path).issue().config()
            except FileNotFoundError:
                raise CommandError(
                    f"{path} does not exist: sign tokens where `mqtt443 cloud deploy --signing` made that key"
                ) from None
        return config

    def write_ca(self, config: Path) -> str:
        """See DeviceBackend."""
        return write_amazon_roots(config)

    def disconnect(self, client_id: str) -> bool:
        """See DeviceBackend."""
        return self._aws.find("iot-data", "delete_connection", clientId=client_id) is not None

    def activity(self, client_ids: Sequence[str]) -> Mapping[str, Activity]:
        """See DeviceBackend: a call of GetConnection for each device, for MAX_ASKED of them.

        AWS keeps the time of a disconnection for 30 minutes (AWS IoT Core API reference, "GetConnection"). Version and
        failures are in the messages, which AWS does not keep.
        """
        asked = list(client_ids)[:MAX_ASKED]
        if asked:
            self._aws.client("iot-data")  # before there are threads
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            found = dict(zip(asked, pool.map(self._connection, asked), strict=True))
        return {client_id: found.get(client_id, Activity()) for client_id in client_ids}

    def _connection(self, client_id: str) -> Activity:
        connection = self._aws.find("iot-data", "get_connection", clientId=client_id)
        if connection is None:  # never connected, or long ago
            return Activity(online=False)
        times = [connection[name] for name in ("connectedSince", "disconnectedSince") if name in connection]
        return Activity(bool(connection.get("connected")), max(times) / 1000 if times else None)

    def password_uses(self, client_id: str) -> str | None:
        """See DeviceBackend: from the authorizer's log."""
        device = self.store.by_client_id(client_id)
        if device is None or len(device.secrets) < MAX_SECRETS:
            return None
        since = datetime.fromtimestamp(device.secrets[0].created_at, UTC)
        uses = authorizer_log.last_uses(self._aws, self.stack.outputs["LogGroup"], client_id, since)
        return (
            f"{client_id}: since {_minute(since)} the new password was {_used(uses, 0)}, the old one {_used(uses, 1)}"
        )

    def last_login(self, device: Device) -> tuple[int, float] | None:
        """See DeviceBackend: from the authorizer's log."""
        since = datetime.fromtimestamp(device.secrets[0].created_at, UTC)
        uses = authorizer_log.last_uses(self._aws, self.stack.outputs["LogGroup"], device.client_id, since)
        latest = sorted((at.timestamp(), index) for index, at in uses.items())[-2:]
        if not latest or (len(latest) > 1 and latest[0][0] == latest[1][0]):  # in one second: it could be either
            return None
        at, index = latest[-1]
        return index, at


def _used(uses: Mapping[int, datetime], index: int) -> str:
    return f"last used at {_minute(uses[index])}" if index in uses else "not used"


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
