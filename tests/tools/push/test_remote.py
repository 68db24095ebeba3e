"""A board's answers are untrusted: whatever it says, a push ends with one line. Also the question about config.json."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.push import board_programs
from mqtt443_tools.push.board_tree import Settings
from mqtt443_tools.push.plan import compare, overwrite_conflict, push_record
from mqtt443_tools.support.errors import CommandError

PROGRAMS = {"boot.py": b"1", "main.py": b"2"}
SETTINGS = Settings(b'{"a": 1}', "ca.der", "host", "b1", 1_700_000_000)


class Says:
    """A board that answers with this, whatever it is asked."""

    def __init__(self, text: str) -> None:
        self.text = text

    def run(self, _source: str) -> str:
        return self.text


def board(**changes: Any) -> Says:
    facts = {
        "name": "micropython",
        "major": 1,
        "minor": 26,
        "patch": 1,
        "machine": "ESP32",
        "mpy": 6 | 10 << 10,
        "free": 9,
        "frozen": None,
    }
    return Says(repr((*{**facts, **changes}.values(), True)))


def test_about_reads_versions_and_architecture() -> None:
    about = board_programs.about(board())
    assert (about.version, about.mpy_version, about.arch) == ((1, 26, 1), 6, "xtensawin")


@pytest.mark.parametrize("facts", [{"minor": 23}, {"name": "circuitpython"}])
def test_board_that_cannot_run_the_program_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="must be MicroPython"):
        board_programs.about(board(**facts))


@given(st.one_of(st.text(), st.recursive(st.integers() | st.binary() | st.text(), st.tuples).map(repr)))
def test_any_answer_is_parsed_or_one_line(text: str) -> None:
    for ask in (
        board_programs.about,
        lambda runs: board_programs.hashes(runs, [], []),
        lambda runs: board_programs.read(runs, "push.json"),
    ):
        try:
            ask(Says(text))
        except CommandError as error:
            assert len(str(error).splitlines()) == 1


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_unknown_push_record_is_a_conflict(noted: bytes) -> None:
    assert overwrite_conflict(SETTINGS, b"\1" * 32, noted)


def test_config_of_the_last_push_is_not_a_conflict() -> None:
    there = hashlib.sha256(b"of last time").digest()
    assert overwrite_conflict(SETTINGS, None, None) is None
    assert overwrite_conflict(SETTINGS, hashlib.sha256(SETTINGS.content).digest(), None) is None
    assert (
        overwrite_conflict(SETTINGS, there, push_record(replace(SETTINGS, content=b"of last time"), PROGRAMS)) is None
    )


def test_files_are_compared_by_content() -> None:
    there = {"a": hashlib.sha256(b"1").digest(), "b": b"other", "lib/mqtt443/x.py": b"", "own": b"", "a.new": b""}
    plan = compare({"a": b"1", "b": b"2", "c": b"3"}, there, package=True)
    assert (plan.send, plan.new, plan.same) == ({"b": b"2", "c": b"3"}, frozenset({"c"}), ("a",))
    assert plan.remove == ("a.new", "lib/mqtt443/x.py")
    assert compare({}, there, package=False).remove == ("a.new",)
