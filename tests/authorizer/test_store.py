"""The contract of all three credential stores, and the choice of one by its setting."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.device import Device
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.errors import AlreadyRegistered, Conflict, DeviceError, NotRegistered, SettingsError
from mqtt443_authorizer.memorystore import MemoryStore
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_authorizer.store import CredentialStore, open_store
from mqtt443_tools.device.registration import begin_rotation, drop_old, rotate, take_back

from tests.support.aws.logins import CHOSEN, GENERATED, device
from tests.support.aws.table import dynamodb_table


@pytest.fixture(params=["memory", "sqlite", "dynamodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        yield SqliteStore(tmp_path / "state" / "devices.sqlite")
    else:
        with dynamodb_table() as (table, client):
            yield DynamoStore(table, client)


def test_empty_store_has_no_devices(store: CredentialStore) -> None:
    assert store.all() == []
    assert store.by_username("dev1") is None
    assert store.by_client_id("sensor-1") is None


def test_added_device_is_found_by_both_names(store: CredentialStore) -> None:
    added = device(secrets=(CHOSEN, GENERATED), publish=("site/a",), subscribe=("site/+",))
    store.add(added)
    store.add(device("größe", "dev2", enabled=False))
    assert store.by_username("dev1") == store.by_client_id("sensor-1") == added
    assert store.by_client_id("größe") == device("größe", "dev2", enabled=False)
    assert store.by_username("sensor-1") is None


def test_all_devices_are_sorted_by_client_id(store: CredentialStore) -> None:
    for name in ("c", "a", "b"):
        store.add(device(name, f"user-{name}"))
    assert [each.client_id for each in store.all()] == ["a", "b", "c"]


@pytest.mark.parametrize("second", [device(), device("sensor-1", "dev2"), device("sensor-2", "dev1")])
def test_duplicate_client_id_or_user_name_changes_nothing(store: CredentialStore, second: Device) -> None:
    store.add(device())
    with pytest.raises(AlreadyRegistered, match="already registered"):
        store.add(second)
    assert store.all() == [device()]
    assert store.by_client_id("sensor-2") is None
    assert store.by_username("dev2") is None


def test_batch_is_stored_whole(store: CredentialStore) -> None:
    devices = [device(f"sensor-{number:03}", f"user-{number:03}") for number in range(120)]
    store.add_many(devices)
    assert store.all() == devices
    assert store.by_username("user-077") == devices[77]


@pytest.mark.parametrize(
    ("client_id", "username", "named"),
    [
        ("sensor-1", "new", "the client id sensor-1"),
        ("new", "dev1", "the user name dev1"),
        ("sensor-000", "new", "the client id sensor-000"),
        ("new", "user-000", "the user name user-000"),
    ],
)
def test_batch_with_a_used_or_repeated_name_changes_nothing(
    store: CredentialStore, client_id: str, username: str, named: str
) -> None:
    store.add(device())
    batch = [device(f"sensor-{number:03}", f"user-{number:03}") for number in range(110)]
    with pytest.raises(AlreadyRegistered, match=f"{named} is already registered"):
        store.add_many([*batch, device(client_id, username)])
    assert store.all() == [device()]


def test_empty_batch_is_fine(store: CredentialStore) -> None:
    store.add_many([])
    assert store.all() == []


def test_name_that_is_not_utf8_is_unknown(store: CredentialStore) -> None:
    if isinstance(store, DynamoStore):
        pytest.skip("the SDK refuses it before it is sent")
    assert store.by_username("\udcff") is None
    assert store.by_client_id("\udcff") is None
    with pytest.raises(NotRegistered):
        store.remove("\udcff")


def test_user_name_may_equal_the_client_id_of_another_device(store: CredentialStore) -> None:
    store.add(device("one", "two"))
    store.add(device("two", "one"))
    found = store.by_username("one")
    assert found is not None and found.client_id == "two"


def test_replaced_device_has_the_next_version(store: CredentialStore) -> None:
    store.add(device())
    changed = store.replace(device(enabled=False))
    assert changed == device(enabled=False, version=2)
    assert store.by_username("dev1") == store.by_client_id("sensor-1") == changed


def test_concurrent_change_is_not_overwritten(store: CredentialStore) -> None:
    store.add(device())
    store.replace(device(enabled=False))
    with pytest.raises(Conflict, match="sensor-1 was changed by another command"):
        store.replace(device(publish=("site/a",)))
    assert store.all() == [device(enabled=False, version=2)]


def test_user_name_cannot_change(store: CredentialStore) -> None:
    store.add(device())
    with pytest.raises(Conflict):
        store.replace(device(username="dev2"))
    assert store.all() == [device()]
    assert store.by_username("dev2") is None


def test_client_id_cannot_change(store: CredentialStore) -> None:
    store.add(device())
    with pytest.raises(NotRegistered):
        store.replace(device("sensor-2", "dev1"))
    assert store.all() == [device()]


def test_removed_device_frees_its_names(store: CredentialStore) -> None:
    store.add(device())
    store.add(device("sensor-2", "dev2"))
    store.remove("sensor-1")
    assert store.all() == [device("sensor-2", "dev2")]
    assert store.by_username("dev1") is None
    store.add(device("sensor-1", "dev3"))
    store.add(device("sensor-3", "dev1"))


def test_unregistered_device_cannot_be_replaced_or_removed(store: CredentialStore) -> None:
    with pytest.raises(NotRegistered, match="client id sensor-1"):
        store.replace(device())
    with pytest.raises(NotRegistered, match="client id sensor-1"):
        store.remove("sensor-1")


def test_setting_selects_the_store(tmp_path: Path) -> None:
    assert isinstance(open_store(f"sqlite:{tmp_path}/devices.sqlite"), SqliteStore)
    assert isinstance(open_store("dynamodb:mqtt443-devices"), DynamoStore)


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "sqlite:",
        "sqlite:devices.sqlite",
        "file:/devices.json",
        "dynamodb:",
        "dynamodb:a/b",
        "memory:",
        "/devices.sqlite",
    ],
)
def test_other_setting_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match="MQTT443_STORE must be"):
        open_store(setting)


def test_both_secrets_of_a_rotation_over_the_air_stay_until_one_is_dropped(store: CredentialStore) -> None:
    store.add(device(secrets=(GENERATED,)))
    rotated = begin_rotation(store, "sensor-1", now=1_000_000_000)
    new, old = store.by_client_id("sensor-1").secrets  # type: ignore[union-attr]
    assert (old, old.expires_at, new.expires_at) == (GENERATED, 0, 0)
    assert store.by_username("dev1").secrets == (new, old)  # type: ignore[union-attr]
    with pytest.raises(DeviceError, match="has two passwords"):
        begin_rotation(store, "sensor-1", now=1_000_000_000)
    with pytest.raises(DeviceError, match="over the air has not ended"):
        rotate(store, "sensor-1", now=1_000_000_000)
    drop_old(store, "sensor-1", old)  # which is not the newest any more
    assert take_back(store, rotated).secrets == (GENERATED,)
    rotated = begin_rotation(store, "sensor-1", now=1_000_000_000)
    assert drop_old(store, "sensor-1", rotated.device.secrets[0]).secrets == rotated.device.secrets[:1]
