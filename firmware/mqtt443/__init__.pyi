"""Types of the public names, for editors and mypy; boards never load this file."""

from collections.abc import Callable
from typing import Any, TypeVar

from .app import App as App
from .backoff import Backoff as Backoff
from .client import Client as Client
from .config import Config as Config
from .errors import CertificateError as CertificateError
from .errors import CertificateExpired as CertificateExpired
from .errors import ClockError as ClockError
from .errors import ClosedBeforeConnack as ClosedBeforeConnack
from .errors import ConfigError as ConfigError
from .errors import ConnackTimeout as ConnackTimeout
from .errors import ConnectFailed as ConnectFailed
from .errors import ConnectionLost as ConnectionLost
from .errors import ConnectRefused as ConnectRefused
from .errors import DnsError as DnsError
from .errors import HandshakeTimeout as HandshakeTimeout
from .errors import MalformedPacket as MalformedPacket
from .errors import Mqtt443Error as Mqtt443Error
from .errors import NetworkError as NetworkError
from .errors import NoAlpn as NoAlpn
from .errors import OutOfMemory as OutOfMemory
from .errors import PeerVanished as PeerVanished
from .errors import ProtocolError as ProtocolError
from .errors import PublishRefused as PublishRefused
from .errors import Refused as Refused
from .errors import SubscribeRefused as SubscribeRefused
from .errors import Timeout as Timeout
from .errors import TlsError as TlsError
from .errors import UpgradeRefused as UpgradeRefused
from .errors import WebSocketError as WebSocketError
from .errors import WifiError as WifiError
from .errors import WrongCa as WrongCa
from .errors import WrongHost as WrongHost
from .transport import Transport as Transport

_Handler = TypeVar("_Handler", bound=Callable[[dict[str, Any]], object])

__version__: str
handlers: dict[str, Callable[[dict[str, Any]], object]]

def command(name: str) -> Callable[[_Handler], _Handler]: ...
def run(
    path: str = "config.json",
    root: str = "",
    stop: Callable[[], bool] | None = None,
    write: Callable[[str], object] = ...,
) -> bool: ...
