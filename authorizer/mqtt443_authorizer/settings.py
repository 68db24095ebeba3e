"""The settings of the authorizer, from the environment variables of its Lambda function."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mqtt443_authorizer.errors import SettingsError
from mqtt443_authorizer.policy import DEFAULT_PATH

# Range of both times: "Defining your Lambda function" (AWS IoT Core Developer Guide, custom authentication).
MIN_S = 300
MAX_S = 86_400

DEFAULT_REFRESH_S = 3600
DEFAULT_DISCONNECT_S = 86_400


class Settings(NamedTuple):
    """The settings.

    Attributes:
        store: for `store.open_store`.
        refresh_s: seconds that AWS uses a policy before it asks again, 300..86,400; a disabled device stays connected
            at most this long.
        disconnect_s: longest life of a connection in seconds, 300..86,400.
        policy_path: the policy template.
    """

    store: str
    refresh_s: int
    disconnect_s: int
    policy_path: Path


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read MQTT443_STORE, MQTT443_REFRESH_S, MQTT443_DISCONNECT_S and MQTT443_POLICY.

    Raises:
        SettingsError: a variable is missing, malformed or out of range; the text names it.
    """
    store = environment.get("MQTT443_STORE", "")
    if not store:
        raise SettingsError("MQTT443_STORE is not set: sqlite:/ABSOLUTE/PATH or dynamodb:TABLE")
    return Settings(
        store,
        _seconds(environment, "MQTT443_REFRESH_S", DEFAULT_REFRESH_S),
        _seconds(environment, "MQTT443_DISCONNECT_S", DEFAULT_DISCONNECT_S),
        policy_path(environment),
    )


def policy_path(environment: Mapping[str, str]) -> Path:
    """Return the path of the policy template: MQTT443_POLICY, or policy.json beside the handler."""
    return Path(environment.get("MQTT443_POLICY") or DEFAULT_PATH)


def _seconds(environment: Mapping[str, str], name: str, default_s: int) -> int:
    text = environment.get(name, str(default_s))
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and MIN_S <= int(text) <= MAX_S):
        raise SettingsError(f"{name} must be a whole number of seconds from {MIN_S} to {MAX_S}")
    return int(text)
