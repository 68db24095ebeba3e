"""Messages that arrive at AWS IoT Core, live, with your own credentials: SigV4 over WebSocket, through AWS's SDK.

The SDK's threads put messages into a bounded queue; `watch` yields them in the form of the local control channel.
"""

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Any

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Pace, Stacks, check_name
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.extras import missing_extra

MAX_WAITING = 1000
ANSWER_S = 20.0
LOOK_S = 0.5  # how often Ctrl-C and the deadline are checked
PORT = 443


class AwsWatcher:
    """A connection to an account's endpoint. Raises CommandError when it is made and refused.

    Args:
        region: to sign for.
        credentials: gives boto3's frozen credentials, asked for at every connect, as some expire.
        ca: CA file, None for the system's.
    """

    def __init__(
        self, endpoint: str, region: str, credentials: Callable[[], Any], *, port: int = PORT, ca: Path | None = None
    ) -> None:
        needs_sdk("mqtt443 watch --stack")
        from awscrt import auth, mqtt  # noqa: PLC0415
        from awscrt.exceptions import AwsCrtError  # noqa: PLC0415
        from awsiot import mqtt_connection_builder  # noqa: PLC0415

        def give() -> auth.AwsCredentials:
            given = credentials()
            return auth.AwsCredentials(given.access_key, given.secret_key, given.token)

        self._mqtt, self._crt_error = mqtt, AwsCrtError
        self._waiting: Queue[dict[str, Any]] = Queue(MAX_WAITING)
        self._dropped = 0
        self._broke: str | None = None
        self._closed = False
        self._connection = mqtt_connection_builder.websockets_with_default_aws_signing(
            region,
            auth.AwsCredentialsProvider.new_delegate(give),
            endpoint=endpoint,
            port=port,
            ca_filepath=None if ca is None else str(ca),
            client_id=f"mqtt443-watch-{secrets.token_hex(8)}",
            clean_session=True,
            keep_alive_secs=60,
            enable_metrics_collection=False,
            on_connection_interrupted=self._interrupted,
        )
        self._result(self._connection.connect(), "iot:Connect on client/mqtt443-watch-*")

    def __enter__(self) -> "AwsWatcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True  # ends `messages` in another thread
        self._connection.disconnect()

    def watch(self, topic_filter: str, deadline: float | None) -> Iterator[dict[str, Any]]:
        """Subscribe, and give messages and `{"dropped": N}` until `deadline` (monotonic seconds).

        Raises:
            CommandError: the subscription was refused, or, while it gives messages, the connection broke.
        """
        self.subscribe(topic_filter)
        return self.messages(deadline)

    def subscribe(self, topic_filter: str) -> None:
        """Subscribe; returns once AWS has acknowledged it. Raises CommandError if it is refused."""
        subscribed, _ = self._connection.subscribe(topic_filter, self._mqtt.QoS.AT_LEAST_ONCE, self._take)
        self._result(subscribed, f"iot:Subscribe and iot:Receive on {topic_filter}")

    def messages(self, deadline: float | None) -> Iterator[dict[str, Any]]:
        """Yield messages of all subscriptions as `watch` does. Raises CommandError once the connection broke."""
        while not self._closed and (deadline is None or time.monotonic() < deadline):
            left_s = LOOK_S if deadline is None else min(LOOK_S, max(0.0, deadline - time.monotonic()))
            try:
                message = self._waiting.get(timeout=left_s)
            except Empty:
                if self._broke is not None:
                    raise CommandError(
                        f"the connection to AWS broke ({self._broke}): run the command again; if it breaks at once, "
                        "your IAM user or role lacks a permission (docs/aws.md)"
                    ) from None
                continue
            yield message
            if dropped := self._dropped:
                self._dropped -= dropped
                yield {"dropped": dropped}

    def _take(self, topic: str, payload: bytes, qos: Any, retain: bool, **_: Any) -> None:
        message = {
            "topic": topic,
            "payload": base64.b64encode(payload).decode(),
            "qos": int(qos),
            "retain": retain,
            "client_id": None,  # AWS does not say who published
            "received_at": time.time(),
        }
        try:
            self._waiting.put_nowait(message)
        except Full:
            self._dropped += 1

    def _interrupted(self, error: Exception, **_: Any) -> None:
        self._broke = getattr(error, "name", type(error).__name__)

    def _result(self, future: "Future[Any]", permission: str) -> Any:
        try:
            return future.result(ANSWER_S)
        except TimeoutError as error:
            raise CommandError(f"AWS IoT did not answer within {ANSWER_S:.0f} s: run the command again") from error
        except self._crt_error as error:
            raise CommandError(
                f"AWS IoT refused it ({error.name}): your IAM user or role needs {permission} (docs/aws.md)"
            ) from error


def needs_sdk(what: str) -> None:
    """Check that AWS's device SDK is installed, an extra that the local mode does not need.

    Args:
        what: what needs it, such as "mqtt443 watch --stack".

    Raises:
        CommandError: it is not; the text says how to install it.
    """
    try:
        import awscrt  # noqa: F401, PLC0415
        import awsiot  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra(what, "cloud") from error


def open_watcher(aws: Aws, stack: str) -> AwsWatcher:
    """Connect to the account of a stack; all endpoints of an account and region share their topics.

    Raises:
        CommandError: there is no such stack, or AWS refuses.
    """
    check_name(stack)
    if Stacks(aws, lambda _: None, Pace()).find(stack) is None:
        raise CommandError(f"there is no stack {stack} in {aws.region}: run `mqtt443 cloud deploy --stack {stack}`")
    endpoint = aws.call("iot", "describe_endpoint", endpointType="iot:Data-ATS")["endpointAddress"]
    return AwsWatcher(str(endpoint), aws.region, aws.credentials)
