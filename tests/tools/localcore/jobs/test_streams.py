"""Streams: a file of any size comes back from its blocks, in any order and length."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import ARN, Account

CONTENT = bytes(range(256)) * 40 + b"end"
ROLE = "arn:aws:iam::123456789012:role/streams"


def stream(account: Account, content: bytes = CONTENT, name: str = "s") -> None:
    files = [{"fileId": 0, "s3Location": account.put(f"{name}.bundle", content)}]
    account.call("create_stream", streamId=name, files=files, roleArn=ROLE, description="test")


def read(account: Account, request: dict[str, Any], name: str = "s") -> list[tuple[str, dict[str, Any]]]:
    base = f"$aws/things/dev-1/streams/{name}/"
    return [(topic.removeprefix(base), each) for topic, each in account.answers(f"streams/{name}/get/json", request)]


def test_stream_describes_its_files(account: Account) -> None:
    stream(account)
    ((topic, answer),) = account.answers("streams/s/describe/json", {"c": "token"})
    assert topic == "$aws/things/dev-1/streams/s/description/json"
    assert answer == {"c": "token", "s": 1, "d": "test", "r": [{"f": 0, "z": len(CONTENT)}]}
    info = account.call("describe_stream", streamId="s")["streamInfo"]
    assert (info["streamArn"], info["roleArn"]) == (f"{ARN}:stream/s", ROLE)


def test_block_has_its_number_length_and_content(account: Account) -> None:
    stream(account)
    ((topic, last),) = read(account, {"c": "t", "f": 0, "l": 4096, "o": 2, "n": 1})
    assert topic == "data/json"
    assert (last["c"], last["f"], last["i"], last["l"]) == ("t", 0, 2, len(CONTENT) - 8192)
    assert base64.b64decode(last["p"]) == CONTENT[8192:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=5000), st.integers(256, 6000), st.integers(1, 8))
def test_file_comes_back_from_its_blocks(account: Account, content: bytes, length: int, count: int) -> None:
    name = f"s{len(account.published)}"
    account.published.append((name, None))  # a stream of its own for each example
    stream(account, content, name)
    found = bytearray()
    number = 0
    while len(found) < len(content):
        for _, block in read(account, {"f": 0, "l": length, "o": number, "n": count}, name):
            assert block["i"] == number
            found += base64.b64decode(block["p"])
            number += 1
    assert bytes(found) == content


def test_bitmap_chooses_blocks(account: Account) -> None:
    stream(account)
    found = read(account, {"f": 0, "l": 256, "o": 8, "b": "0580"})
    assert [block["i"] for _, block in found] == [8, 10, 23]
    assert [block["i"] for _, block in read(account, {"f": 0, "l": 256, "b": "07", "n": 2})] == [0, 1]


def test_example_of_the_developer_guide_gets_its_blocks(account: Account) -> None:
    """From "Build a bitmap for a GetStream request"."""
    stream(account, bytes(256 * 50))
    found = read(account, {"c": "1", "s": 1, "l": 256, "f": 0, "o": 20, "n": 32, "b": "0x130080"})
    assert [block["i"] for _, block in found] == [20, 21, 24, 43]


def test_request_for_more_than_128_kb_gets_the_first_blocks(account: Account) -> None:
    stream(account, bytes(200_000))
    for count in ({"n": 5}, {}):
        found = read(account, {"f": 0, "l": 32_768, "o": 1, **count})
        assert [block["i"] for _, block in found] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"f": 0, "l": 255}, "BlockSizeOutOfBounds"),
        ({"f": 0, "l": 131_073}, "BlockSizeOutOfBounds"),
        ({"f": 0, "l": 256, "o": 41}, "OffsetOutOfBounds"),
        ({"f": 1, "l": 256}, "ResourceNotFound"),
        ({"f": 0, "l": 256, "s": 2}, "VersionMismatch"),
        ({"f": 0, "l": 256, "b": "zz"}, "InvalidRequest"),
        ({"f": 0, "l": 256, "n": 0}, "BlockCountLimitExceeded"),
        ({"l": 256}, "InvalidRequest"),
        ({"f": "0", "l": 256}, "InvalidRequest"),
    ],
)
def test_bad_request_is_rejected_with_its_code(account: Account, request_: dict[str, Any], code: str) -> None:
    stream(account)
    ((topic, answer),) = read(account, {"c": "t", **request_})
    assert (topic, answer["o"], answer["c"]) == ("rejected/json", code, "t")


def test_unknown_stream_is_rejected(account: Account) -> None:
    ((topic, answer),) = read(account, {"f": 0, "l": 256}, "none")
    assert (topic, answer["o"]) == ("rejected/json", "ResourceNotFound")


def test_stream_of_a_missing_object_is_refused(account: Account) -> None:
    place = {"bucket": "bucket", "key": "nothing"}
    with pytest.raises(ServiceError, match="there is no object nothing"):
        account.call("create_stream", streamId="s", files=[{"fileId": 0, "s3Location": place}], roleArn=ROLE)
