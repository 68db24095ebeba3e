"""Sends a command through AWS's data plane, once the answer to it is subscribed to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.watch.aws_messages import AwsWatcher


@contextmanager
def through_aws(
    aws: Aws, connect: Callable[[], AwsWatcher], filters: Sequence[str], topic: str, payload: bytes
) -> Iterator[AwsWatcher]:
    """Subscribe, publish with QoS 1, and yield what receives the answer.

    Args:
        aws: account and region.
        connect: opens a connection to the account.
        filters: topic filters of the answer.
        topic: of the command.
        payload: of the command.

    Raises:
        CommandError: AWS refuses.
    """
    with connect() as watcher:
        for topic_filter in filters:
            watcher.subscribe(topic_filter)
        aws.call("iot-data", "publish", topic=topic, qos=1, payload=payload)
        yield watcher
