"""The contract of every credential store, on all three; and the choice of one by its setting."""

import pytest
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.errors import AlreadyRegistered, Conflict, NotRegistered, SettingsError
from mqtt443_authorizer.filestore import FileStore
from mqtt443_authorizer.memorystore import MemoryStore
from mqtt443_authorizer.store import open_store

from tests.support.aws.logins import CHOSEN, GENERATED, device
from tests.support.aws.table import dynamodb_table


@pytest.fixture(params=["memory", "file", "dynamodb"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "file":
        yield FileStore(tmp_path / "state" / "devices.json")
    else:
        with dynamodb_table() as (table, client):
            yield DynamoStore(table, client)


def test_an_empty_store_has_no_devices(store):
    assert store.all() == []
    assert store.by_username("dev1") is None
    assert store.by_client_id("sensor-1") is None


def test_an_added_device_is_found_by_both_names(store):
    added = device(secrets=(CHOSEN, GENERATED), publish=("site/a",), subscribe=("site/+",))
    store.add(added)
    store.add(device("größe", "dev2", enabled=False))
    assert store.by_username("dev1") == store.by_client_id("sensor-1") == added
    assert store.by_client_id("größe") == device("größe", "dev2", enabled=False)
    assert store.by_username("sensor-1") is None


def test_all_devices_come_in_the_order_of_their_client_ids(store):
    for name in ("c", "a", "b"):
        store.add(device(name, f"user-{name}"))
    assert [each.client_id for each in store.all()] == ["a", "b", "c"]


@pytest.mark.parametrize("second", [device(), device("sensor-1", "dev2"), device("sensor-2", "dev1")])
def test_a_taken_client_id_or_user_name_is_refused_and_nothing_changes(store, second):
    store.add(device())
    with pytest.raises(AlreadyRegistered, match="already registered"):
        store.add(second)
    assert store.all() == [device()]
    assert store.by_client_id("sensor-2") is None
    assert store.by_username("dev2") is None


def test_a_user_name_may_be_the_client_id_of_another(store):
    store.add(device("one", "two"))
    store.add(device("two", "one"))
    assert store.by_username("one").client_id == "two"


def test_a_replaced_device_has_the_next_version(store):
    store.add(device())
    changed = store.replace(device(enabled=False))
    assert changed == device(enabled=False, version=2)
    assert store.by_username("dev1") == store.by_client_id("sensor-1") == changed


def test_a_device_that_was_changed_in_the_meantime_is_not_overwritten(store):
    store.add(device())
    store.replace(device(enabled=False))
    with pytest.raises(Conflict, match="sensor-1 was changed in the meantime"):
        store.replace(device(publish=("site/a",)))
    assert store.all() == [device(enabled=False, version=2)]


def test_a_device_keeps_its_user_name(store):
    store.add(device())
    with pytest.raises(Conflict):
        store.replace(device(username="dev2"))
    assert store.all() == [device()]
    assert store.by_username("dev2") is None


def test_a_device_keeps_its_client_id(store):
    store.add(device())
    with pytest.raises(NotRegistered):
        store.replace(device("sensor-2", "dev1"))
    assert store.all() == [device()]


def test_a_removed_device_is_gone_and_its_names_are_free(store):
    store.add(device())
    store.add(device("sensor-2", "dev2"))
    store.remove("sensor-1")
    assert store.all() == [device("sensor-2", "dev2")]
    assert store.by_username("dev1") is None
    store.add(device("sensor-1", "dev3"))
    store.add(device("sensor-3", "dev1"))


def test_a_device_that_is_not_there_cannot_be_changed_or_removed(store):
    with pytest.raises(NotRegistered, match="client id sensor-1"):
        store.replace(device())
    with pytest.raises(NotRegistered, match="client id sensor-1"):
        store.remove("sensor-1")


def test_a_setting_names_the_store(tmp_path):
    assert isinstance(open_store(f"file:{tmp_path}/devices.json"), FileStore)
    assert isinstance(open_store("dynamodb:mqtt443-devices"), DynamoStore)


@pytest.mark.parametrize(
    "setting", ["", "file:", "file:devices.json", "dynamodb:", "dynamodb:a/b", "memory:", "/devices.json"]
)
def test_a_setting_that_names_no_store_is_refused(setting):
    with pytest.raises(SettingsError, match="MQTT443_STORE must be"):
        open_store(setting)
