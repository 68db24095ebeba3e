"""Registering devices and changing them, as a library."""

import base64
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer import database, sqlitestore
from mqtt443_authorizer.device import Device
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.errors import AlreadyRegistered, Conflict, DeviceError, NotRegistered, PolicyError
from mqtt443_authorizer.memorystore import MemoryStore
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.secret import SCRYPT, SHA256, match
from mqtt443_authorizer.store import CredentialStore
from mqtt443_tools.device import registration
from mqtt443_tools.device.registration import MAX_ATTEMPTS, add_device, drop_old, remove, rotate, set_enabled, take_back

from tests.support.aws.logins import Desk, event

NOW = 1_700_000_000.9


@pytest.fixture
def store() -> CredentialStore:
    return MemoryStore()


def stored(store: CredentialStore, client_id: str = "sensor-1") -> Device:
    device = store.by_client_id(client_id)
    assert device is not None
    return device


def fits(store: CredentialStore, client_id: str, password: str) -> int | None:
    """Index of the secret that a password belongs to."""
    return match(stored(store, client_id).secrets, password.encode(), admit=True)


def test_generated_password_is_random_and_stored_as_sha256(store: CredentialStore) -> None:
    asked: list[int] = []

    def token(size: int) -> str:
        asked.append(size)
        return "generated"

    added = add_device(store, "sensor-1", now=NOW, token=token, random_bytes=bytes)
    assert (added.password, asked) == ("generated", [24])
    assert added.device == store.by_client_id("sensor-1")
    (secret,) = added.device.secrets
    assert (secret.kind, secret.salt, secret.created_at) == (SHA256, bytes(16), 1_700_000_000)
    assert fits(store, "sensor-1", "generated") == 0


def test_generated_passwords_and_salts_differ(store: CredentialStore) -> None:
    one, two = (add_device(store, name, now=NOW) for name in ("one", "two"))
    assert one.password != two.password
    assert one.device.secrets[0].salt != two.device.secrets[0].salt
    assert len(base64.urlsafe_b64decode(one.password)) == 24


def test_chosen_password_is_stored_with_scrypt(store: CredentialStore) -> None:
    added = add_device(store, "sensor-1", password="test", now=NOW)
    assert added.device.secrets[0].kind == SCRYPT
    assert fits(store, "sensor-1", "test") == 0


def test_result_does_not_show_the_password(store: CredentialStore) -> None:
    added = add_device(store, "sensor-1", now=NOW)
    assert added.password not in repr(added)


def test_user_name_defaults_to_the_client_id(store: CredentialStore) -> None:
    add_device(store, "one", now=NOW)
    add_device(store, "two", username="user", now=NOW)
    assert [each.username for each in store.all()] == ["one", "user"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "a/b"},
        {"username": "a?b"},
        {"username": ""},
        {"password": ""},
        {"password": "p" * 1025},
        {"password": "\udcff"},
        {"publish": ["a/+"]},
        {"subscribe": ["a#"]},
    ],
)
def test_invalid_device_is_refused_before_it_is_stored(store: CredentialStore, wrong: Any) -> None:
    with pytest.raises(DeviceError):
        add_device(store, **{"client_id": "sensor-1", "now": NOW, **wrong})
    assert store.all() == []


def test_oversized_policy_is_refused_before_it_is_stored(store: CredentialStore) -> None:
    with pytest.raises(PolicyError, match="AWS allows at most 2048"):
        add_device(store, "sensor-1", publish=["t" * 250 + str(number) for number in range(9)], now=NOW)
    assert store.all() == []


def test_policy_is_checked_with_the_given_template(store: CredentialStore) -> None:
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "<arn>:client/<client_id>"}
    ten = Template([{"Version": "2012-10-17", "Statement": [statement]}] * 10)
    add_device(store, "sensor-1", now=NOW, template=ten)
    with pytest.raises(PolicyError, match="11 documents"):
        add_device(store, "sensor-2", publish=["a"], now=NOW, template=ten)


def test_registered_name_is_refused(store: CredentialStore) -> None:
    add_device(store, "sensor-1", now=NOW)
    with pytest.raises(AlreadyRegistered):
        add_device(store, "sensor-2", username="sensor-1", now=NOW)


def test_rotation_keeps_the_last_secret_until_the_next_one(store: CredentialStore) -> None:
    first = add_device(store, "sensor-1", now=NOW).password
    second = rotate(store, "sensor-1", now=NOW).password
    assert (fits(store, "sensor-1", second), fits(store, "sensor-1", first)) == (0, 1)
    third = rotate(store, "sensor-1", password="chosen", now=NOW).password
    assert [fits(store, "sensor-1", each) for each in (third, second, first)] == [0, 1, None]


def test_old_secret_expires_and_the_new_one_does_not(store: CredentialStore) -> None:
    add_device(store, "sensor-1", now=NOW)
    rotate(store, "sensor-1", now=NOW + 100, keep_s=3600)
    assert [each.expires_at for each in stored(store).secrets] == [0, 1_700_003_700]


def test_undone_rotation_leaves_a_secret_that_does_not_expire(store: CredentialStore) -> None:
    add_device(store, "sensor-1", now=NOW)
    take_back(store, rotate(store, "sensor-1", now=NOW))
    assert [each.expires_at for each in stored(store).secrets] == [0]


def test_dropping_the_old_secret_leaves_the_newest(store: CredentialStore) -> None:
    first = add_device(store, "sensor-1", now=NOW).password
    second = rotate(store, "sensor-1", now=NOW).password
    drop_old(store, "sensor-1")
    assert (fits(store, "sensor-1", second), fits(store, "sensor-1", first)) == (0, None)
    assert drop_old(store, "sensor-1") == store.by_client_id("sensor-1")


def test_rotation_can_be_undone(store: CredentialStore) -> None:
    first = add_device(store, "sensor-1", now=NOW).password
    second = rotate(store, "sensor-1", now=NOW)
    take_back(store, second)
    assert (fits(store, "sensor-1", first), fits(store, "sensor-1", second.password)) == (0, None)


def test_finished_rotation_is_not_undone(store: CredentialStore) -> None:
    add_device(store, "sensor-1", now=NOW)
    second = rotate(store, "sensor-1", now=NOW)
    drop_old(store, "sensor-1")
    take_back(store, second)
    assert fits(store, "sensor-1", second.password) == 0


def test_disabled_device_is_refused_until_it_is_enabled(store: CredentialStore) -> None:
    add_device(store, "sensor-1", username="dev1", password="p@ss", now=NOW)
    desk = Desk(store=store)
    set_enabled(store, "sensor-1", False)
    assert not desk.decide(event("mqtt"))["isAuthenticated"]
    set_enabled(store, "sensor-1", True)
    assert desk.decide(event("mqtt"))["isAuthenticated"]


def test_change_without_effect_is_not_written(store: CredentialStore) -> None:
    add_device(store, "sensor-1", now=NOW)
    assert set_enabled(store, "sensor-1", True).version == 1


def test_unknown_device_cannot_be_changed(store: CredentialStore) -> None:
    for attempt in (
        lambda: rotate(store, "sensor-1", now=NOW),
        lambda: drop_old(store, "sensor-1"),
        lambda: set_enabled(store, "sensor-1", False),
        lambda: remove(store, "sensor-1"),
    ):
        with pytest.raises(NotRegistered):
            attempt()


class Contended(MemoryStore):
    """A store in which another writer is faster, a given number of times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def replace(self, device: Device) -> Device:
        if self.times:
            self.times -= 1
            before = stored(self, device.client_id)
            super().replace(before._replace(publish=(*before.publish, f"theirs/{self.times}")))
        return super().replace(device)


def test_concurrent_change_is_kept() -> None:
    store = Contended(2)
    add_device(store, "sensor-1", now=NOW)
    changed = set_enabled(store, "sensor-1", False)
    assert (changed.enabled, changed.publish) == (False, ("theirs/1", "theirs/0"))


def test_endless_concurrent_changes_end_in_a_conflict() -> None:
    store = Contended(MAX_ATTEMPTS)
    add_device(store, "sensor-1", now=NOW)
    with pytest.raises(Conflict, match="run the command again"):
        set_enabled(store, "sensor-1", False)


MANY = [registration.NewDevice(f"sensor-{number}", f"user-{number}", None, (), ()) for number in range(10_000)]


def test_ten_thousand_devices_are_one_transaction_locally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transactions: list[object] = []

    def counted(connection: Any) -> Any:
        transactions.append(connection)
        return database.transaction(connection)

    monkeypatch.setattr(sqlitestore, "transaction", counted)
    store = sqlitestore.SqliteStore(tmp_path / "devices.sqlite")
    registration.add_devices(store, MANY, now=0)
    assert len(transactions) <= 2  # one may make the table
    assert len(store.all()) == len(MANY)


def test_ten_thousand_devices_are_200_transactions_in_aws() -> None:
    """At 50 ms each, 10 seconds; moto's own time grows with the square of the items, so it is not asked here."""
    sizes: list[int] = []

    class Table:
        def transact_write_items(self, TransactItems: list[Any]) -> None:
            sizes.append(len(TransactItems))

    registration.add_devices(DynamoStore("devices", Table()), MANY, now=0)
    assert sizes == [100] * 200
