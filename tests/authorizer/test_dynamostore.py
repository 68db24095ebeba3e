"""What is specific to DynamoDB: items, consistent reads, paging, timeouts and service errors."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import (  # type: ignore[import-untyped]
    ClientError,
    EndpointConnectionError,
)
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.errors import StoreError

from tests.support.aws.failing import Failing
from tests.support.aws.logins import device
from tests.support.aws.table import dynamodb_table

Table = tuple[str, Any]  # name and client


@pytest.fixture
def table() -> Iterator[Any]:
    with dynamodb_table() as (name, client):
        yield name, client


def test_device_is_two_items(table: Table) -> None:
    name, client = table
    DynamoStore(name, client).add(device())
    items = client.scan(TableName=name)["Items"]
    assert sorted(item["pk"]["S"] for item in items) == ["client#sensor-1", "user#dev1"]


def test_batches_use_few_transactions(table: Table) -> None:
    name, client = table
    calls = []
    client.meta.events.register(
        "before-parameter-build.dynamodb.*", lambda params, model, **_: calls.append((model.name, params))
    )
    DynamoStore(name, client).add_many([device(f"device-{number}", f"user-{number}") for number in range(120)])
    assert [(name, len(params["TransactItems"])) for name, params in calls] == [
        ("TransactWriteItems", 100),
        ("TransactWriteItems", 100),
        ("TransactWriteItems", 40),
    ]


def test_every_read_is_consistent(table: Table) -> None:
    name, client = table
    reads = []
    client.meta.events.register(
        "before-parameter-build.dynamodb.*", lambda params, model, **_: reads.append((model.name, params))
    )
    store = DynamoStore(name, client)
    store.by_username("dev1")
    store.by_client_id("sensor-1")
    store.all()
    assert [operation for operation, _ in reads] == ["GetItem", "GetItem", "Scan"]
    assert all(params["ConsistentRead"] is True for _, params in reads)


def test_all_pages_are_read(table: Table) -> None:
    name, client = table
    store = DynamoStore(name, client)
    for number in range(4):
        # 1.6 MB in all; a page of a scan has at most 1 MB.
        client.put_item(TableName=name, Item={"pk": {"S": f"filler#{number}"}, "data": {"B": bytes(390_000)}})
        store.add(device(f"device-{number}", f"user-{number}"))
    assert [each.client_id for each in store.all()] == [f"device-{number}" for number in range(4)]


@pytest.mark.parametrize("item", [{}, {"device": {"S": "{"}}, {"device": {"S": "[]"}}, {"device": {"N": "1"}}])
def test_broken_item_is_a_store_error(table: Table, item: Any) -> None:
    name, client = table
    client.put_item(TableName=name, Item={"pk": {"S": "user#dev1"}, **item})
    with pytest.raises(StoreError, match="DynamoDB table devices: "):
        DynamoStore(name, client).by_username("dev1")


def test_missing_table_is_a_store_error(table: Table) -> None:
    with pytest.raises(StoreError, match="DynamoDB table nowhere: ResourceNotFoundException"):
        DynamoStore("nowhere", table[1]).by_username("dev1")


OUTAGES = [
    ClientError({"Error": {"Code": "ThrottlingException", "Message": "secret text"}}, "GetItem"),
    ClientError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": ""},
            "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
        },
        "TransactWriteItems",
    ),
    EndpointConnectionError(endpoint_url="https://dynamodb.invalid"),
]


@pytest.mark.parametrize("error", OUTAGES)
def test_outage_is_a_plain_store_error(error: Exception) -> None:
    store = DynamoStore("devices", Failing(error))
    attempts: list[Callable[[], object]] = [
        lambda: store.by_username("dev1"),
        lambda: store.add(device()),
        lambda: store.replace(device()),
    ]
    for attempt in attempts:
        with pytest.raises(StoreError) as raised:
            attempt()
        assert type(raised.value) is StoreError
        assert "secret text" not in str(raised.value)


def test_silent_service_gets_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(StoreError, match="ReadTimeoutError"):
            DynamoStore("devices").by_username("dev1")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in connections:
        connection.close()
    assert len(connections) == 2
