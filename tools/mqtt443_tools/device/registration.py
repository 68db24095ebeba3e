"""Registers devices and changes them: the library under `mqtt443 device`.

It generates passwords and decides how they are stored. mqtt443_authorizer.store keeps the devices, and
mqtt443_authorizer.device checks names and topics.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mqtt443_authorizer.device import Device, validate_device
from mqtt443_authorizer.errors import Conflict, DeviceError, NotRegistered
from mqtt443_authorizer.policy import LONGEST_ARN, Template
from mqtt443_authorizer.secret import SALT_BYTES, SCRYPT, SHA256, Secret, make_secret
from mqtt443_authorizer.store import CredentialStore

GENERATED_PASSWORD_BYTES = 24  # 192 random bits, 32 characters
MAX_ATTEMPTS = 5
KEEP_S = 7 * 86_400  # the old password after a rotation: long enough to reach a board once a week


@dataclass(frozen=True)
class Added:
    """A device as stored, and the password of its newest secret, which is not stored in the clear."""

    device: Device
    password: str = field(repr=False)


@dataclass(frozen=True)
class NewDevice:
    """A device to register; `add_device` documents the fields."""

    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


def add_device(
    store: CredentialStore,
    client_id: str,
    *,
    username: str | None = None,
    password: str | None = None,
    publish: Iterable[str] = (),
    subscribe: Iterable[str] = (),
    now: float,
    template: Template | None = None,
    token: Callable[[int], str] = secrets.token_urlsafe,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Added:
    """Register a device.

    Args:
        store: where the devices are kept.
        client_id: the device's.
        username: the client id if not given.
        password: a chosen one, stored with scrypt; if not given, one is generated and stored as SHA-256.
        publish: topics of its own, beside those of the policy template.
        subscribe: topic filters of its own.
        now: Unix seconds.
        template: of its policy; the default one if not given.
        token: seam: makes a random text from a number of bytes.
        random_bytes: seam: makes random bytes.

    Raises:
        DeviceError: a name, a topic or the password cannot be registered.
        PolicyError: the device's policy would exceed AWS's limits.
        StoreError: the client id or user name is taken (AlreadyRegistered), or the store fails.
    """
    new = NewDevice(client_id, username, password, tuple(publish), tuple(subscribe))
    return add_devices(store, [new], now=now, template=template, token=token, random_bytes=random_bytes)[0]


def add_devices(
    store: CredentialStore,
    wanted: Sequence[NewDevice],
    *,
    now: float,
    template: Template | None = None,
    token: Callable[[int], str] = secrets.token_urlsafe,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> list[Added]:
    """Register all of these devices or, if this raises, none.

    A generated password costs one SHA-256 (9 microseconds), a chosen one costs scrypt (about 50 ms): 10,000 devices
    with chosen passwords take minutes for that alone.

    Args:
        store: where the devices are kept.
        wanted: the devices.
        now: Unix seconds.
        template: see `add_device`.
        token: see `add_device`.
        random_bytes: see `add_device`.

    Raises:
        DeviceError, PolicyError, StoreError: see `add_device`.
    """
    template = template or Template.load()
    added = [_prepare(each, now, template, token, random_bytes) for each in wanted]
    store.add_many([each.device for each in added])
    return added


def _prepare(
    new: NewDevice,
    now: float,
    template: Template,
    token: Callable[[int], str],
    random_bytes: Callable[[int], bytes],
) -> Added:
    text, secret = _new_secret(new.password, now, token, random_bytes)
    device = Device(
        new.client_id,
        new.client_id if new.username is None else new.username,
        (secret,),
        publish=new.publish,
        subscribe=new.subscribe,
        created_at=int(now),
    )
    validate_device(device)
    template.render(device, LONGEST_ARN)
    return Added(device, text)


def rotate(
    store: CredentialStore,
    client_id: str,
    *,
    password: str | None = None,
    now: float,
    keep_s: int = KEEP_S,
    token: Callable[[int], str] = secrets.token_urlsafe,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Added:
    """Give a device a new secret; the current one stays valid for a while, or until the next rotation.

    Args:
        store: where the devices are kept.
        client_id: the device's.
        password: see `add_device`.
        now: Unix seconds.
        keep_s: seconds until the old secret expires; `drop_old` ends it at once.
        token: see `add_device`.
        random_bytes: see `add_device`.

    Raises:
        DeviceError: the password cannot be registered, or a rotation over the air has not ended.
        StoreError: there is no such device (NotRegistered), or the store fails.
    """
    text, secret = _new_secret(password, now, token, random_bytes)
    ends_at = secret.created_at + keep_s

    def edit(stored: Device) -> Device:
        if any(not each.expires_at for each in stored.secrets[1:]):  # and its board may use the old one
            raise DeviceError(
                f"the rotation of {client_id} over the air has not ended: run "
                f"`mqtt443 device rotate {client_id} --over-the-air` to end it"
            )
        return stored._replace(secrets=(secret, stored.secrets[0]._replace(expires_at=ends_at)))

    return Added(_change(store, client_id, edit), text)


def begin_rotation(store: CredentialStore, client_id: str, *, now: float) -> Added:
    """Give a device a new generated secret beside its only one; both are valid until `drop_old` or `take_back`.

    Args:
        store: where the devices are kept.
        client_id: the device's.
        now: Unix seconds.

    Raises:
        DeviceError: two of its secrets are valid already, and the board may use either.
        StoreError: there is no such device (NotRegistered), or the store fails.
    """
    text, secret = _new_secret(None, now, secrets.token_urlsafe, os.urandom)

    def edit(stored: Device) -> Device:
        if len(live := live_secrets(stored, now)) > 1:
            raise DeviceError(
                f"{client_id} has two passwords, and its board may use either: once the board has the new one, run "
                f"`mqtt443 device rotate {client_id} --drop-old`"
            )
        return stored._replace(secrets=(secret, live[0]._replace(expires_at=0)))

    return Added(_change(store, client_id, edit), text)


def live_secrets(device: Device, now: float) -> tuple[Secret, ...]:
    """Return the secrets that are valid at `now` (Unix seconds), the newest first."""
    return tuple(each for each in device.secrets if not each.expires_at or now < each.expires_at)


def take_back(store: CredentialStore, rotated: Added) -> Device:
    """Undo a rotation whose new password was lost, so that the next one does not end the one in use.

    Raises:
        StoreError: there is no such device (NotRegistered), or the store fails.
    """
    lost = rotated.device.secrets[0]

    def edit(stored: Device) -> Device:
        # A device always keeps a secret, even if the old one was dropped meanwhile.
        kept = tuple(each._replace(expires_at=0) for each in stored.secrets if each != lost)
        return stored._replace(secrets=kept or stored.secrets)

    return _change(store, rotated.device.client_id, edit)


def drop_old(store: CredentialStore, client_id: str, newest: Secret | None = None) -> Device:
    """End a rotation: keep only the newest secret.

    Args:
        store: where the devices are kept.
        client_id: the device's.
        newest: nothing changes if another secret is the newest one by now; None for whichever it is.

    Raises:
        StoreError: there is no such device (NotRegistered), or the store fails.
    """

    def edit(stored: Device) -> Device:
        is_expected = newest is None or stored.secrets[0] == newest
        return stored._replace(secrets=stored.secrets[:1]) if is_expected else stored

    return _change(store, client_id, edit)


def set_enabled(store: CredentialStore, client_id: str, enabled: bool) -> Device:
    """Allow or forbid a device to log in; `DeviceBackend.disconnect` ends its live connection.

    Raises:
        StoreError: there is no such device (NotRegistered), or the store fails.
    """
    return _change(store, client_id, lambda old: old._replace(enabled=enabled))


def remove(store: CredentialStore, client_id: str) -> None:
    """Delete a device.

    Raises:
        StoreError: there is no such device (NotRegistered), or the store fails.
    """
    store.remove(client_id)


def _new_secret(
    password: str | None, now: float, token: Callable[[int], str], random_bytes: Callable[[int], bytes]
) -> tuple[str, Secret]:
    kind = SHA256 if password is None else SCRYPT
    text = token(GENERATED_PASSWORD_BYTES) if password is None else password
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise DeviceError("the password is not valid UTF-8") from None
    return text, make_secret(kind, encoded, random_bytes(SALT_BYTES), int(now))


def _change(store: CredentialStore, client_id: str, edit: Callable[[Device], Device]) -> Device:
    for _ in range(MAX_ATTEMPTS - 1):
        with suppress(Conflict):  # another command changed it first: try again on the new version
            return _change_once(store, client_id, edit)
    return _change_once(store, client_id, edit)


def _change_once(store: CredentialStore, client_id: str, edit: Callable[[Device], Device]) -> Device:
    device = store.by_client_id(client_id)
    if device is None:
        raise NotRegistered(f"no device with the client id {client_id} is registered")
    changed = edit(device)
    return device if changed == device else store.replace(changed)
