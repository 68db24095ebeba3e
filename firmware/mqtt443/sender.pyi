"""Types of `sender`."""

from collections.abc import Callable

from .client import Client
from .config import Config
from .errors import PublishRefused
from .outbox import Outbox

class Sender:
    client: Client
    outbox: Outbox
    topic: bytes
    config: Config
    qos: int
    window: int
    timeout_ms: int
    on_sent: Callable[[bytes, PublishRefused | None], object]
    ticks: Callable[[], int]
    def __init__(
        self,
        client: Client,
        outbox: Outbox,
        config: Config,
        on_sent: Callable[[bytes, PublishRefused | None], object],
        ticks: Callable[[], int] = ...,
    ) -> None: ...
    def begin(self, session: bool) -> None: ...
    def pump(self) -> int | None: ...
