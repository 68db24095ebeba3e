"""Where `mqtt443 device` works: the state folder of the local endpoint, or a stack in AWS. One interface for both."""

import os
from pathlib import Path
from typing import Protocol

from mqtt443_authorizer.files import write_private
from mqtt443_authorizer.filestore import FileStore
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.settings import policy_path
from mqtt443_authorizer.store import CredentialStore

from mqtt443_tools.localcore.control.control_client import disconnect_live
from mqtt443_tools.localcore.front.certificates import local_ca
from mqtt443_tools.support.amazon_roots import amazon_roots
from mqtt443_tools.support.config_file import copy_ca
from mqtt443_tools.support.errors import CommandError

LOCAL_ENDPOINT = "localhost"
LOCAL_PORT = 8443
AMAZON_CA = "ca.der"


class Place(Protocol):
    """A place with devices; every method may raise CommandError or AuthorizerError."""

    if_not_cut: str
    """What a person does about a connection that may still be up."""

    @property
    def store(self) -> CredentialStore:
        """The devices."""

    def template(self) -> Template:
        """The policy template that devices of this place get."""

    def config(self) -> dict[str, object]:
        """The keys of config.json that lead a device here, all but the CA's."""

    def put_ca(self, out: Path) -> str:
        """Put the CA file that a device needs beside its config file; gives the key `ca`."""

    def disconnect(self, client_id: str) -> bool:
        """Cut a device's live connection; gives whether there was one."""

    def password_uses(self, client_id: str) -> str | None:
        """Say when a device's two passwords were last used; None if it has one, or if nobody keeps a log here."""


class LocalPlace:
    """The state folder of a local endpoint."""

    if_not_cut = "restart `mqtt443 local`"

    def __init__(self, state: Path) -> None:
        self._state = state
        self.store = FileStore(state / "devices.json")

    def template(self) -> Template:
        """See Place."""
        return Template.load(policy_path(os.environ))

    def config(self) -> dict[str, object]:
        """See Place."""
        return {"endpoint": LOCAL_ENDPOINT, "port": LOCAL_PORT}

    def put_ca(self, out: Path) -> str:
        """See Place."""
        return copy_ca(local_ca(self._state), out)

    def disconnect(self, client_id: str) -> bool:
        """See Place."""
        return disconnect_live(self._state, client_id)

    def password_uses(self, client_id: str) -> str | None:  # noqa: ARG002  the local endpoint keeps no log
        """See Place."""
        return None


def put_amazon_ca(out: Path) -> str:
    """Put Amazon's roots beside a config file; gives the key `ca`. Raises CommandError."""
    ca = out.parent / AMAZON_CA
    try:
        write_private(ca, amazon_roots())
    except OSError as error:
        raise CommandError(f"{ca}: {error.strerror}") from error
    return ca.name


def open_place(state: Path, stack: str | None, region: str | None, profile: str | None) -> Place:
    """Open the place that the options of a command name.

    :param stack: name of a stack in AWS; None for the local endpoint
    """
    if stack is None:
        return LocalPlace(state)
    # AWS's modules take their time to load, and the local mode does without.
    from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415
    from mqtt443_tools.cloud.aws_backend import Fleet  # noqa: PLC0415

    return Fleet(open_aws(profile, region), stack, state)
