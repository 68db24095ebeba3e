"""The order of the steps, and what a failed one means for the later ones."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mqtt443 import errors

from mqtt443_tools.check.aws_steps import AwsSide
from mqtt443_tools.check.local_steps import LocalEndpoint
from mqtt443_tools.check.mqtt_steps import BoardClient
from mqtt443_tools.check.network_steps import ALPN, Endpoint, Resolve
from mqtt443_tools.check.step import BoardConfig, Broken, Skipped, Step, run_step
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.support.config_file import load_ca, load_config
from mqtt443_tools.support.errors import CommandError, UsageError

SLOW_S = 4.5
"""A refusal after this time means an authorizer over its limit of 5 s (Developer Guide, "Custom authentication")."""

# Codes, and the causes they stand for: in CONNACK (2 to 5 are of MQTT 3.1.1, all others reason codes of MQTT 5), and on
# a connection. Whether AWS answers a refused login with 0x86 or 0x87 is not documented.
_BY_REASON_CODE: dict[int | None, str] = {
    2: "client_id_not_allowed",
    3: "unavailable",
    4: "not_authenticated",
    5: "not_authorized",
    0x85: "client_id_not_allowed",
    0x86: "not_authenticated",
    0x87: "not_authorized",
    0x88: "unavailable",
    0x89: "throttled",
    0x8B: "unavailable",
    0x97: "throttled",
    0x9F: "throttled",
}
_ELSEWHERE: dict[int | None, str] = {
    0x87: "topic_not_allowed",
    0x8B: "unavailable",
    0x8E: "taken_over",
    0x96: "throttled",
    0x97: "throttled",
}
_UNTOLD = (None, 0, 0x80, 0x98)
"""These give no reason."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to check.

    Attributes:
        state: of the local endpoint, which is asked about refusals if the config leads to it.
        aws: opens the account of an endpoint; returns None for an endpoint outside AWS, raises CommandError if AWS
            cannot be asked here.
        publish: whether to send a message to the device's topic.
        client_id_safe: leave CONNECT out, which closes the connection of the board with the same client id.
        timeout_s: for TCP and for TLS; the config's if None.
        now, clock, resolve: seams: Unix seconds, monotonic seconds, `socket.getaddrinfo`.
    """

    state: Path
    aws: Callable[[str], Aws | None]
    publish: bool = True
    client_id_safe: bool = False
    timeout_s: float | None = None
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    resolve: Resolve = socket.getaddrinfo


def walk(path: Path, options: Options) -> Iterator[Step]:
    """Run the steps with a config.json, and yield each when it is done."""
    walker = _Walker(path, options)
    try:
        yield from walker.steps()
    finally:
        walker.close()


class _Walker:
    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        self._options = options
        self._failed: str | None = None
        self._board: BoardClient | None = None
        self._connecting_since = 0.0

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def steps(self) -> Iterator[Step]:
        read: list[tuple[BoardConfig, list[bytes]]] = []
        yield self._take("config", lambda: self._read(read))
        if not read:
            return
        (checked, roots), options = read[0], self._options
        timeout_s = options.timeout_s or checked.timeout_s
        endpoint = Endpoint(checked.endpoint, checked.port, roots, timeout_s, options.now, options.resolve)
        for name, step in (("DNS", endpoint.dns), ("TCP", endpoint.tcp), ("TLS", endpoint.tls)):
            yield self._take(name, step)
        yield self._take("clock", endpoint.clock, goes_on=True)
        local = LocalEndpoint(options.state)
        board = self._board = BoardClient(checked, self._blame(endpoint, checked, roots, local))
        yield self._take("ALPN", lambda: _alpn(endpoint, checked))
        yield self._take("WebSocket", board.websocket, goes_on=checked.transport == "auto")
        yield from self._aws(checked)
        yield self._take("CONNECT", lambda: self._connect(local, board))
        yield self._take("publish", lambda: self._publish(board))

    def _aws(self, checked: BoardConfig) -> Iterator[Step]:
        """Ask AWS; CONNECT is tried whatever it says."""
        if self._failed is not None:
            return
        try:
            aws = self._options.aws(checked.endpoint)
        except UsageError:
            raise
        except CommandError as error:
            yield Step("AWS", "skipped", str(error), 0.0)
            return
        for name, step in AwsSide(aws, checked).steps() if aws else ():
            taken = self._take(name, step, goes_on=True)
            yield taken
            if taken.status != "ok":
                return

    def _take(self, name: str, step: Callable[[], str], *, goes_on: bool = False) -> Step:
        """Run a step, unless an earlier one failed; `goes_on`: later steps do not need it."""
        if self._failed is not None:
            return Step(name, "skipped", f"needs {self._failed}", 0.0)
        taken = run_step(name, step, self._options.clock)
        if taken.status == "failed" and not goes_on:
            self._failed = name
        return taken

    def _read(self, into: list[tuple[BoardConfig, list[bytes]]]) -> str:
        try:
            checked = load_config(self._path)
            # The config has the board's path of the file; here the file is beside the config.
            checked.ca = str(self._path.parent / checked.ca)
            into.append((checked, load_ca(Path(checked.ca))))
        except CommandError as error:
            raise Broken("config", str(error)) from error
        return f"{checked.client_id} at {checked.endpoint}:{checked.port}, transport {checked.transport}"

    def _connect(self, local: LocalEndpoint, board: BoardClient) -> str:
        if self._options.client_id_safe:
            raise Skipped("--client-id-safe: whether the login is accepted cannot be seen from here")
        local.mark()
        self._connecting_since = self._options.clock()
        return board.connect()

    def _publish(self, board: BoardClient) -> str:
        if self._options.client_id_safe:
            raise Skipped("--client-id-safe: whether the policy allows the topic cannot be seen from here")
        if not self._options.publish:
            raise Skipped("--no-publish")
        return board.publish(self._options.now())

    def _blame(
        self, endpoint: Endpoint, checked: BoardConfig, roots: list[bytes], local: LocalEndpoint
    ) -> Callable[[Exception, str], Broken]:

        def blame(error: Exception, otherwise: str) -> Broken:
            known = local.why(checked) if local.is_meant(roots) else None
            detail = str(error.args[0])
            reason_code: int | None = getattr(error, "code", None)
            if known is not None:
                return known if reason_code is None else Broken(known.cause.code, f"{detail}; {known}")
            by_code = _BY_REASON_CODE.get(reason_code) if otherwise == "refused" else _ELSEWHERE.get(reason_code)
            if by_code is not None:
                return Broken(by_code, detail)
            if otherwise == "refused" and checked.transport == "tls" and _picks_alpn(endpoint):
                return Broken("no_alpn", f"{detail}; the endpoint picks ALPN {ALPN} where it is offered")
            if otherwise == "refused" and self._options.clock() - self._connecting_since >= SLOW_S:
                return Broken("authorizer_slow", f"{detail}, after more than {SLOW_S} s")
            if isinstance(error, errors.ProtocolError):
                return Broken("not_mqtt", detail)
            return Broken(otherwise if reason_code in _UNTOLD else "reason_given", detail)

        return blame


def _alpn(endpoint: Endpoint, checked: BoardConfig) -> str:
    if checked.transport in {"wss", "tls"}:
        raise Skipped(f"SNI {checked.endpoint}; transport {checked.transport} offers no ALPN")
    return endpoint.alpn()


def _picks_alpn(endpoint: Endpoint) -> bool:
    try:
        endpoint.alpn()
    except Broken:
        return False
    return True
