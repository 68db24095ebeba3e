"""A DynamoDB table as the authorizer needs it, emulated by moto."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3  # type: ignore[import-untyped]
from moto import mock_aws


@contextmanager
def dynamodb_table() -> Iterator[tuple[str, Any]]:
    """Lend the name of an empty table and a client."""
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    with patch.dict("os.environ", environment), mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="devices",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        yield "devices", client
