"""Types of `app`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from .backoff import Backoff
from .client import Client
from .config import Config
from .errors import PublishRefused
from .outbox import Outbox
from .readings import Readings
from .sender import Sender

class Uptime:
    def __init__(self, write: Callable[[str], object] = ..., ticks: Callable[[], int] = ...) -> None: ...
    def ms(self) -> int: ...
    def log(self, text: str, rest: str = "") -> None: ...

class App:
    PIECE_MS: Final[int]
    SLEEP: Final[int]

    config: Config
    client: Client
    outbox: Outbox
    readings: Readings
    uptime: Uptime
    sender: Sender
    handlers: Mapping[str, Callable[[dict[str, Any]], object]]
    root: str
    path: str
    stop: Callable[[], bool]
    feed: Callable[[], object]
    ticks: Callable[[], int]
    sleep: Callable[[int], object]
    random: Callable[[int], int]
    now: Callable[[], int]
    interval_ms: int
    next_reading_at: int
    retry_at: int
    connected_at_ms: int | None
    saved_at_ms: int | None
    next_sync_ms: int
    clock_ok: bool | None
    boot_ok: bool
    shutdown: str | int | None
    backoff: Backoff | None
    jobs_waiting: bool | int
    trial_end_ms: int | None
    news: dict[str, str | int]
    unreported: int
    subscribed: int
    refused: int
    failures: int

    def __init__(
        self,
        config: Config,
        client: Client,
        outbox: Outbox,
        readings: Readings,
        uptime: Uptime,
        *,
        handlers: Mapping[str, Callable[[dict[str, Any]], object]] | None = None,
        root: str = "",
        cause: str | None = None,
        restored: Mapping[str, int] | None = None,
        interval_s: int | None = None,
        stop: Callable[[], bool] = ...,
        feed: Callable[[], object] = ...,
        ticks: Callable[[], int] = ...,
        sleep: Callable[[int], object] = ...,
        random: Callable[[int], int] = ...,
        now: Callable[[], int] = ...,
        path: str = ...,
        trial_s: int | None = None,
    ) -> None: ...
    def run(self) -> None: ...
    def step(self) -> None: ...
    def log(self, text: str) -> None: ...
    def should_stop(self) -> bool: ...
    def feed_watchdog(self) -> None: ...
    def take_reading_if_due(self) -> int: ...
    def accept(self, payload: bytes) -> None: ...
    def note_published(self, payload: bytes, refusal: PublishRefused | None = None) -> None: ...
    def link(self) -> dict[str, int | str]: ...
    def counters(self) -> dict[str, int]: ...
    def receive(self, topic: bytes, message: bytes) -> None: ...
