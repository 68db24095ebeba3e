"""Random values of every type that MicroPython has: what leaves the board is always JSON that a strict parser takes."""

import json
import os
import random
from pathlib import Path

import pytest
from mqtt443.json_syntax import check

from tests.firmware.micropython import run
from tests.support.board import interpreters

SEED = int(os.environ.get("MQTT443_SEED", "443"))
MESSAGES = 150

# Expressions in MicroPython; %s is filled with others.
LEAVES = (
    "1", "-1", "0", "2 ** 62", "2 ** 64 - 1", "2 ** 64", "-2 ** 70", "10 ** 400", "True", "False", "None", "...",
    "1.5", "-0.0", "1e300", "1e-300", "float('inf')", "-float('inf')", "float('nan')", "1j", "'text'", "''", "'\\x00'",
    "'\\x7f'", "'\\u00b0C'", "'\\U0001f600'", "chr(0xd800)", "chr(0xdfff) + 'x'", "'x' + chr(0xdbff)", "'\"\\\\'",
    "'\\u2028'", "b'x'", "bytearray(2)", "memoryview(b'x')", "array('i', [1])", "range(3)", "object()", "int",
    "Exception",
    "ValueError('x')", "len", "lambda: 1", "lambda: 1 // 0", "lambda: chr(0xd800)", "iter([1])", "deque((), 2)",
    "StringIO('x')", "Own()", "Text('own')", "Number(3)", "enumerate([1])",
    "sys", "type(None)",
    "(i for i in (1,))", "'x' * 5000", "Shown()",
)  # fmt: skip
BRANCHES = (
    "[%s]", "[%s, %s]", "(%s,)", "{'a': %s}", "{%s: 1}", "{'a': %s, 'b': %s}", "{%s}", "frozenset((%s,))",
    "OrderedDict([('a', %s)])", "Pair(%s, %s)", "Mapping(a=%s)", "Sequence([%s])", "lambda: %s", "[[[[[[%s]]]]]]",
)  # fmt: skip
NAMES = (
    "'name'",
    "'time'",
    "'\\u00b0'",
    "chr(0xd900)",
    "''",
    "5",
    "None",
    "(1,)",
    "'\"'",
    "'x' * 3000",
    "Shown()",
    "'n\\n'",
)

PROGRAM = """
import sys
from array import array
from collections import OrderedDict, deque, namedtuple
from io import StringIO
from mqtt443.readings import Readings

class Own: pass
class Text(str): pass
class Number(int): pass
class Mapping(dict): pass
class Sequence(list): pass
class Shown:
    def __str__(self): raise SystemExit
    __repr__ = __str__
Pair = namedtuple("Pair", ("a", "b"))
source = Readings(None, dict, lambda: 1793491200, max_bytes=1024)
with open("values") as file:
    for line in file:
        source.read = eval("lambda: " + line)
        sys.stdout.buffer.write(source.payload() + b"\\n")
"""


def value(chance: random.Random, depth: int) -> str:
    if depth and chance.random() < 0.5:
        branch = chance.choice(BRANCHES)
        return branch % tuple(value(chance, depth - 1) for _ in range(branch.count("%s")))
    return chance.choice(LEAVES)


def sources(seed: int) -> list[str]:
    """Return what `read` returns, as MicroPython's expressions."""
    chance = random.Random(seed)
    made = [f"{{'value': {leaf}}}" for leaf in LEAVES]
    for _ in range(MESSAGES):
        members = (f"{chance.choice(NAMES)}: {value(chance, 4)}" for _ in range(chance.randint(1, 4)))
        made.append("{" + ", ".join(members) + "}" if chance.random() < 0.9 else value(chance, 3))
    return made


@pytest.mark.parametrize("name", ["alpn32", "stock"])
def test_any_value_leaves_as_strict_json_or_is_named(tmp_path: Path, name: str) -> None:
    values = sources(SEED)
    (tmp_path / "values").write_text("".join(value + "\n" for value in values))
    lines = run(interpreters.need(name), tmp_path, PROGRAM).rstrip("\n").split("\n")
    assert len(lines) == len(values)
    whole = 0
    for number, (line, source) in enumerate(zip(lines, values, strict=True), 1):
        check(line.encode())
        message = json.loads(line)
        assert message["seq"] == number
        assert len(line.encode()) <= 1024
        assert message.keys() - {"time", "seq"}, f"neither read nor named: {source}"
        whole += "errors" not in message
    assert 10 < whole < len(values) - 10
