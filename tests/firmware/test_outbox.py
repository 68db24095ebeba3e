"""The outbox: first in, first out through memory and flash; bounded, and discarded readings are counted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import _port
from mqtt443.outbox import PAYLOAD, RAM_BYTES, Outbox

NOW = _port.BUILD_DATE + 1000


class Rig:
    """An outbox on a folder that outlives it; `power_cut` makes a new one."""

    def __init__(self, folder: Path, max_bytes: int = 65536) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.now = NOW
        self.lines: list[str] = []
        self.power_cut()

    def power_cut(self) -> None:
        self.outbox = Outbox(f"{self.folder}/outbox", self.max_bytes, self.lines.append, lambda: self.now)

    def put(self, *payloads: str, ttl_s: int = 0) -> None:
        for payload in payloads:
            self.outbox.put(payload.encode(), ttl_s)

    def send(self, most: int = 1000) -> list[str]:
        """The messages that would be sent now, if none is acknowledged."""
        return [entry[PAYLOAD].decode() for _ in range(most) if (entry := self.outbox.next())]

    def acknowledge(self, most: int = 1000) -> None:
        for entry in self.outbox.in_flight[:most]:
            self.outbox.done(entry)

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("outbox/*"))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_while_the_link_is_up_flash_is_not_touched(rig: Rig) -> None:
    for i in range(100):
        rig.put(str(i))
        assert rig.send() == [str(i)]
        rig.acknowledge()
    assert rig.outbox.empty()
    assert not (rig.folder / "outbox").exists()


def test_saved_messages_survive_a_power_cut_with_those_in_flight(rig: Rig) -> None:
    rig.put("a", "b", "c")
    assert rig.send(2) == ["a", "b"]
    assert rig.outbox.unsaved()
    assert rig.outbox.save()
    assert not rig.outbox.unsaved()
    rig.power_cut()
    assert not rig.outbox.empty()
    assert rig.send() == ["a", "b", "c"]


def test_saved_messages_are_sent_once_and_leave_no_file(rig: Rig) -> None:
    rig.put("a", "b", "c")
    rig.send(2)
    rig.outbox.save()
    rig.put("d")
    assert rig.send() == ["c", "d"]
    rig.acknowledge()
    assert rig.outbox.empty()
    assert rig.files == []


def test_messages_taken_while_a_backlog_drains_come_behind_it(rig: Rig) -> None:
    rig.put("a", "b", "c")
    rig.outbox.save()
    assert rig.send(1) == ["a"]
    rig.put("d")
    assert rig.send(1) == ["b"]
    rig.outbox.save()
    rig.put("e")
    assert rig.send() == ["c", "d", "e"]


def test_file_stays_until_all_of_it_is_acknowledged(rig: Rig) -> None:
    rig.put("a", "b")
    rig.outbox.save()
    rig.send()
    rig.outbox.done(rig.outbox.in_flight[1])
    assert rig.files
    rig.outbox.done(rig.outbox.in_flight[0])
    assert rig.files == []


def test_more_than_memory_may_hold_goes_to_flash(rig: Rig) -> None:
    payloads = [f"{i:0100}" for i in range(RAM_BYTES // 100 * 3)]
    rig.put(*payloads)
    assert vars(rig.outbox)["_ram_bytes"] <= RAM_BYTES
    assert rig.files
    assert rig.send() == payloads


def test_without_flash_the_oldest_makes_room_and_is_counted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_bytes=0)
    payloads = [f"{i:0100}" for i in range(60)]
    rig.put(*payloads)
    kept = RAM_BYTES // 100
    assert rig.send() == payloads[-kept:]
    assert rig.outbox.dropped == 60 - kept


def test_one_message_larger_than_memory_may_hold_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_bytes=0)
    rig.put("a", "b" * (RAM_BYTES + 1))
    assert rig.send() == ["b" * (RAM_BYTES + 1)]
    assert rig.outbox.dropped == 1


def test_full_flash_is_reported_once_and_memory_takes_over(rig: Rig) -> None:
    (rig.folder / "outbox").write_text("a file where the folder should be")
    rig.put("a")
    assert rig.outbox.save() is False
    assert rig.outbox.save() is False
    assert rig.send() == ["a"]
    assert len(rig.lines) == 1
    assert "flash" in rig.lines[0]


def test_full_outbox_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_bytes=3 * 4096)
    payloads = [f"{i:0100}" for i in range(300)]
    rig.put(*payloads)
    rig.outbox.save()
    sent = rig.send()
    assert sent == payloads[-len(sent) :]
    assert rig.outbox.dropped == 300 - len(sent) > 0
    assert sum(path.stat().st_size for path in rig.folder.glob("outbox/*")) <= 3 * 4096


@pytest.mark.parametrize("saved", [False, True])
def test_message_past_its_time_to_live_is_not_sent_but_counted(rig: Rig, saved: bool) -> None:
    rig.put("short", ttl_s=10)
    rig.put("long", ttl_s=1000)
    rig.put("ever")
    if saved:
        rig.outbox.save()
        rig.power_cut()
    rig.now += 10
    assert rig.send() == ["long", "ever"]
    assert rig.outbox.expired == 1


def test_outbox_of_expired_messages_leaves_no_file(rig: Rig) -> None:
    rig.put("a", "b", ttl_s=10)
    rig.outbox.save()
    rig.now += 10
    assert rig.send() == []
    assert rig.outbox.empty()
    assert (rig.outbox.expired, rig.files) == (2, [])


def test_clock_that_was_not_set_lets_nothing_expire(rig: Rig) -> None:
    rig.now = 100
    rig.put("a", ttl_s=10)
    rig.now = NOW
    assert rig.send() == ["a"]


STEPS: list[Callable[[Rig], object]] = [
    lambda rig: rig.outbox.save(),
    lambda rig: rig.send(2),
    lambda rig: rig.acknowledge(1),
    lambda rig: rig.outbox.done(rig.outbox.in_flight[-1]) if rig.outbox.in_flight else None,
]


@given(st.lists(st.integers(0, 9), max_size=60))
def test_any_order_of_steps_keeps_every_message_once_and_in_order(steps: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        count, sent = 0, []
        for step in steps:
            if step >= 4:
                rig.put(f"{count:0{step * 90}}")
                count += 1
            elif step == 1:
                sent += rig.send(2)
            else:
                STEPS[step](rig)
        sent += rig.send()
        rig.acknowledge()
        assert list(map(int, sent)) == list(range(count))
        assert rig.outbox.empty()
        assert rig.files == []


@given(st.lists(st.integers(0, 9), max_size=60))
def test_power_cut_loses_only_memory_and_repeats_only_the_oldest_segment(steps: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        count, safe, done = 0, set(), set()
        for step in steps:
            if step >= 4:
                rig.put(f"{count:0{step * 90}}")
                count += 1
            elif step == 0:
                rig.outbox.save()
                safe = set(range(count))
            elif step == 1:
                rig.send(2)
            elif rig.outbox.in_flight:
                entry = rig.outbox.in_flight[0 if step == 2 else -1]
                done.add(int(entry[PAYLOAD]))
                rig.outbox.done(entry)
        rig.power_cut()
        again = list(map(int, rig.send()))
        assert again == sorted(set(again))
        assert safe - done <= set(again)
        doubled = [number for number in again if number in done]
        assert len(doubled) <= 4096 // 360 + 1 + len(rig.outbox.in_flight), "more than a segment was sent again"
