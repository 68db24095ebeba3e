"""A credential store in one DynamoDB table, for the cloud. The template store.yaml creates the table.

The partition key is `pk` (string). A device is two items that are written together: `user#<user name>` holds the
device, because a login looks it up by user name; `client#<client id>` holds the user name and keeps the client id
unique.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mqtt443_authorizer.device import Device, from_json, to_json
from mqtt443_authorizer.errors import AlreadyRegistered, Conflict, DeviceError, NotRegistered, StoreError
from mqtt443_authorizer.memorystore import MemoryStore

# Two attempts of at most two seconds each fit into the five seconds that AWS IoT Core allows the Lambda.
CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 1
MAX_ATTEMPTS = 2

# A transaction has at most 100 actions (TransactWriteItems, "Amazon DynamoDB API Reference"), and a device takes two.
BATCH_DEVICES = 50

_CONDITION_FAILED = {"ConditionalCheckFailedException", "ConditionalCheckFailed"}  # of a single write, of a transaction

Item = dict[str, dict[str, str]]


class DynamoStore:
    """A CredentialStore in a DynamoDB table; store.py documents the methods.

    Args:
        table: name of the table.
        client: a DynamoDB client of boto3. Default: created at the first use, because importing boto3 takes longer than
            the rest of a cold start.
    """

    def __init__(self, table: str, client: Any = None) -> None:
        self._table = table
        self._given_client = client

    def by_username(self, username: str) -> Device | None:
        """Return the device with a user name, or None."""
        item = self._get(_user_key(username))
        return None if item is None else self._device(item)

    def by_client_id(self, client_id: str) -> Device | None:
        """Return the device with a client id, or None."""
        item = self._get(_client_key(client_id))
        return None if item is None else self.by_username(self._text(item, "username"))

    def add(self, device: Device) -> None:
        """Store a new device."""
        self.add_many([device])

    def add_many(self, devices: Sequence[Device]) -> None:
        """Store new devices, BATCH_DEVICES in one transaction; a failure removes the batches before it."""
        MemoryStore(devices)  # DynamoDB refuses two operations on one item, and does not say which item
        stored: list[Device] = []
        try:
            for start in range(0, len(devices), BATCH_DEVICES):
                batch = devices[start : start + BATCH_DEVICES]
                self._add_batch(batch)
                stored += batch
        except BaseException:  # Ctrl-C too
            self._remove_batches(stored)
            raise

    def _add_batch(self, devices: Sequence[Device]) -> None:
        new = {"TableName": self._table, "ConditionExpression": "attribute_not_exists(pk)"}
        items: list[dict[str, Any]] = []
        for device in devices:
            claim = {**_client_key(device.client_id), "username": {"S": device.username}}
            items += [{"Put": {"Item": claim, **new}}, {"Put": {"Item": _item(device), **new}}]
        taken = [
            AlreadyRegistered(text)
            for device in devices
            for text in (
                f"the client id {device.client_id} is already registered",
                f"the user name {device.username} is already registered",
            )
        ]
        with self._reported(*taken) as client:
            client.transact_write_items(TransactItems=items)

    def _remove_batches(self, devices: Sequence[Device]) -> None:
        for start in range(0, len(devices), BATCH_DEVICES):
            items: list[dict[str, Any]] = []
            for device in devices[start : start + BATCH_DEVICES]:
                for key in (_user_key(device.username), _client_key(device.client_id)):
                    items.append({"Delete": {"TableName": self._table, "Key": key}})
            with self._reported() as client:
                client.transact_write_items(TransactItems=items)

    def replace(self, device: Device) -> Device:
        """Replace a device."""
        changed = device._replace(version=device.version + 1)
        conflict = Conflict(f"{device.client_id} was changed by another command: run the command again")
        try:
            with self._reported(conflict) as client:
                client.put_item(
                    TableName=self._table,
                    Item=_item(changed),
                    ConditionExpression="version = :version AND client_id = :client_id",
                    ExpressionAttributeValues={
                        ":version": {"N": str(device.version)},
                        ":client_id": {"S": device.client_id},
                    },
                )
        except Conflict:
            self._registered(device.client_id)
            raise
        return changed

    def remove(self, client_id: str) -> None:
        """Remove a device."""
        device = self._registered(client_id)
        conflict = Conflict(f"{client_id} was changed by another command: run the command again")
        unchanged = {
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": {"N": str(device.version)}},
        }
        with self._reported(conflict) as client:
            client.transact_write_items(
                TransactItems=[
                    {"Delete": {"TableName": self._table, "Key": _user_key(device.username), **unchanged}},
                    {"Delete": {"TableName": self._table, "Key": _client_key(client_id)}},
                ]
            )

    def all(self) -> list[Device]:
        """Return all devices, sorted by client id."""
        with self._reported() as client:
            pages = client.get_paginator("scan").paginate(
                TableName=self._table,
                ConsistentRead=True,
                FilterExpression="begins_with(pk, :user)",
                ExpressionAttributeValues={":user": {"S": "user#"}},
            )
            devices = [self._device(item) for page in pages for item in page["Items"]]
        return sorted(devices, key=lambda device: device.client_id)

    def _registered(self, client_id: str) -> Device:
        device = self.by_client_id(client_id)
        if device is None:
            raise NotRegistered(f"no device with the client id {client_id} is registered")
        return device

    def _get(self, key: Item) -> Item | None:
        with self._reported() as client:
            item: Item | None = client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
            return item

    def _device(self, item: Item) -> Device:
        text = self._text(item, "device")
        try:
            return from_json(json.loads(text))
        except (ValueError, RecursionError, DeviceError) as error:
            raise StoreError(f"DynamoDB table {self._table}: invalid device: {error}") from error

    def _text(self, item: Item, name: str) -> str:
        text = item.get(name, {}).get("S")
        if text is None:
            raise StoreError(f"DynamoDB table {self._table}: an item has no {name}: is this a table of mqtt443?")
        return text

    @contextmanager
    def _reported(self, *condition_failed: StoreError) -> Iterator[Any]:
        """Yield the client and translate its errors; item n of `condition_failed` belongs to operation n."""
        from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415  slow to import
            BotoCoreError,
            ClientError,
        )

        try:
            yield self._client()
        except ClientError as error:
            reasons = [reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])]
            codes = [error.response["Error"]["Code"], *sorted({reason for reason in reasons if reason != "None"})]
            for code, failed in zip(reasons or codes, condition_failed, strict=False):
                if code in _CONDITION_FAILED:
                    raise failed from error
            raise StoreError(f"DynamoDB table {self._table}: {' '.join(codes)}") from error
        except BotoCoreError as error:
            raise StoreError(f"DynamoDB table {self._table}: {type(error).__name__}") from error

    def _client(self) -> Any:
        if self._given_client is None:
            import boto3  # type: ignore[import-untyped]  # noqa: PLC0415
            from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

            self._given_client = boto3.client(
                "dynamodb",
                config=Config(
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
                ),
            )
        return self._given_client


def _user_key(username: str) -> Item:
    return {"pk": {"S": f"user#{username}"}}


def _client_key(client_id: str) -> Item:
    return {"pk": {"S": f"client#{client_id}"}}


def _item(device: Device) -> Item:
    return {
        **_user_key(device.username),
        "client_id": {"S": device.client_id},
        "version": {"N": str(device.version)},
        "device": {"S": json.dumps(to_json(device))},
    }
