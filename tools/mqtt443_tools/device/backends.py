"""One interface to the places where devices are registered: the local endpoint's state folder, or a stack in AWS."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.settings import policy_path
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_authorizer.store import CredentialStore

from mqtt443_tools.support.activity import Activity
from mqtt443_tools.support.config_file import copy_ca
from mqtt443_tools.support.options import refuse_aws_options
from mqtt443_tools.support.posix import needs_posix
from mqtt443_tools.support.shared_folder import refuse_shared

LOCAL_ENDPOINT = "localhost"
LOCAL_PORT = 8443


class DeviceBackend(Protocol):
    """A place where devices are registered; every method may raise CommandError or AuthorizerError."""

    if_still_connected: str
    """What to do about a connection that may still be open."""

    @property
    def store(self) -> CredentialStore:
        """The registered devices."""

    def template(self) -> Template:
        """Return the policy template for its devices."""

    def address(self) -> tuple[str, int]:
        """Return the host and port that a device connects to."""

    def config(self) -> dict[str, object]:
        """Return the keys of config.json with which a device connects here, except `ca`."""

    def write_ca(self, config: Path) -> str:
        """Write the CA file that a device needs beside its config file; return the value of the key `ca`."""

    def disconnect(self, client_id: str) -> bool:
        """End a device's live connection; return whether there was one."""

    def activity(self, client_ids: Sequence[str]) -> Mapping[str, Activity]:
        """Return when devices were last seen; a missing device was never seen."""

    def password_uses(self, client_id: str) -> str | None:
        """Return when each of a device's two passwords was last used; None if it has one, or if there is no log."""

    def last_login(self, device: Device) -> tuple[int, float] | None:
        """Return which secret a device logged in with last, an index, and when, in Unix seconds.

        None if the authorizer has not let it in since its newest secret was made, or if that is unknown.
        """


class LocalBackend:
    """The devices in the state folder of a local endpoint."""

    if_still_connected = "restart `mqtt443 local`"

    def __init__(self, state: Path) -> None:
        needs_posix("the local mode")
        self._state = state
        self.store = SqliteStore(state / "devices.sqlite")

    def template(self) -> Template:
        """See DeviceBackend."""
        return Template.load(policy_path(os.environ))

    def address(self) -> tuple[str, int]:
        """See DeviceBackend: the last address of the endpoint."""
        from mqtt443_tools.localcore.endpoint_file import known_endpoint  # noqa: PLC0415

        known = known_endpoint(self._state)
        return (known.host, known.port) if known is not None else (LOCAL_ENDPOINT, LOCAL_PORT)

    def config(self) -> dict[str, object]:
        """See DeviceBackend."""
        endpoint, port = self.address()
        return {"endpoint": endpoint, "port": port}

    def write_ca(self, config: Path) -> str:
        """See DeviceBackend."""
        from mqtt443_tools.localcore.front.certificates import local_ca  # noqa: PLC0415 - loads cryptography

        return copy_ca(local_ca(self._state), config)

    def disconnect(self, client_id: str) -> bool:
        """See DeviceBackend."""
        from mqtt443_tools.localcore.control.control_client import disconnect_live  # noqa: PLC0415

        return disconnect_live(self._state, client_id)

    def activity(self, client_ids: Sequence[str]) -> Mapping[str, Activity]:
        """See DeviceBackend: from the endpoint's list; no device is online if it does not run."""
        from mqtt443_tools.localcore.control.control_client import ControlClient, NotRunning  # noqa: PLC0415
        from mqtt443_tools.localcore.seen_clients import last_seen  # noqa: PLC0415

        online: set[str] = set()
        with suppress(NotRunning):
            with ControlClient(self._state) as control:
                online.update(control.clients())
            with ControlClient(self._state) as control:
                control.save()
        seen = last_seen(self._state)
        found = {}
        for client_id in client_ids:
            known = seen.get(client_id)
            found[client_id] = (
                Activity(client_id in online)
                if known is None
                else Activity(client_id in online, known.at, known.transport, known.version, known.failures)
            )
        return found

    def password_uses(self, client_id: str) -> str | None:  # noqa: ARG002 - the local endpoint keeps no log
        """See DeviceBackend."""
        return None

    def last_login(self, device: Device) -> tuple[int, float] | None:
        """See DeviceBackend: what the endpoint saw."""
        from mqtt443_tools.localcore.control.control_client import ControlClient, NotRunning  # noqa: PLC0415
        from mqtt443_tools.localcore.seen_clients import last_seen  # noqa: PLC0415

        with suppress(NotRunning), ControlClient(self._state) as control:
            control.save()
        seen = last_seen(self._state).get(device.client_id)
        if seen is None or seen.secret is None or seen.secret_at is None:
            return None
        is_later = seen.secret_at >= device.secrets[0].created_at + 1  # which is in whole seconds
        return (seen.secret, seen.secret_at) if is_later else None


def open_backend(state: Path, stack: str | None, region: str | None, profile: str | None) -> DeviceBackend:
    """Open the backend that a command's options name.

    Args:
        state: state folder of the local endpoint; of a stack, the folder with its token signing key.
        stack: name of a stack in AWS; None for the local endpoint.
        region: AWS region; None for the default.
        profile: AWS profile; None for the default.

    Raises:
        UsageError: a region or a profile is given without a stack.
        CommandError: boto3 is not installed, the profile does not exist, or every user can change the state folder.
    """
    if stack is None:
        refuse_aws_options(region, profile)
        refuse_shared(state)
        return LocalBackend(state)
    # boto3 takes a second to load, and the local mode does not need it.
    from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415
    from mqtt443_tools.cloud.aws_backend import AwsBackend  # noqa: PLC0415

    return AwsBackend(open_aws(profile, region), stack, state)
