"""The same bytes get the same answer from the host's tools and from the board, on every interpreter."""

import binascii
import json
import os
import random
from pathlib import Path

import pytest
from mqtt443 import config_schema, errors
from mqtt443.json_syntax import check, without_mark
from mqtt443_tools.support.config_text import ConfigTextError, parse_config
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need
from tests.support.config_bytes import ACCEPTED, OBJECT, REFUSED

SEED = int(os.environ.get("MQTT443_SEED", "443"))
RANDOM_CASES = 400

# A line for each line of `cases` (hexadecimal): the client id (hexadecimal) or "refused".
PROGRAM = """
import binascii
from mqtt443 import config_schema, errors

with open("cases") as file:
    for line in file:
        try:
            config = config_schema.validate(config_schema.parse(binascii.unhexlify(line.strip())))
            print(binascii.hexlify(config.client_id.encode()).decode())
        except errors.ConfigError as e:
            print("refused")
            assert "\\n" not in e.args[0]
"""
PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\t", b"\r", b"\0", b"\x0b", b"\xff",
    b"\xef\xbb\xbf",
    b"1", b"-", b"0", b"01", b".5", b"1e5", b"1.", b"+1", b"NaN", b"-Infinity", b"true", b"True", b"null", b"nul",
    b"\\u0041", b"\\ud83d", b"\\u 12", b"\\u1", b"\\x41", b"\\/", b"'", b"//", b"\xc3\xa9", b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b'"qos": 1,', b'"port": 1E3,', b'"port": 8443.0,', b'"username": "\\"",', b'"a": {},',
    b'"ttl_s": -0,', b'"password": "\\u00e9\\n",', b'"qos": 0, "qos": 1,',
]  # fmt: skip

AROUND = (b"\xef\xbb\xbf", b"", b"", b"", b" ", b"\r\n", b"\t")
MEMBERS = (b"", b" ", *(piece for piece in PIECES if piece.endswith(b",") and b":" in piece))


def mutated(seed: int) -> list[bytes]:
    """Return configs with one to three pieces inserted, overwritten or cut out."""
    chance = random.Random(seed)
    cases = []
    for _ in range(RANDOM_CASES):
        case = b"".join((*chance.choices(AROUND, k=2), OBJECT % b"b1", *chance.choices(AROUND[1:], k=2)))
        case = case.replace(b"{", b"{" + chance.choice(MEMBERS), 1)
        for _ in range(chance.randint(0, 3)):
            at = chance.choice((0, 1, len(case), chance.randrange(len(case) + 1)))
            case = case[:at] + chance.choice(PIECES) + case[at + chance.choice((0, 0, 0, 1, 2)) :]
        cases.append(case)
    return cases


def host(case: bytes) -> str:
    """Return what the host's tools make of it, as PROGRAM prints it."""
    try:
        config = config_schema.validate(parse_config(case))
    except (ConfigTextError, errors.ConfigError):
        return "refused"
    return binascii.hexlify(config.client_id.encode()).decode()


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def board(interpreter: Interpreter, folder: Path, cases: list[bytes]) -> list[str]:
    (folder / "cases").write_text("".join(case.hex() + "\n" for case in cases))
    return run(interpreter, folder, PROGRAM).split()


def test_every_case_gets_the_answer_of_the_table(micropython: Interpreter, tmp_path: Path) -> None:
    cases = [*ACCEPTED.values(), *REFUSED.values()]
    said = board(micropython, tmp_path, cases)
    assert said == [host(case) for case in cases]
    assert "refused" not in said[: len(ACCEPTED)]
    assert set(said[len(ACCEPTED) :]) == {"refused"}


def test_any_bytes_get_the_same_answer_on_host_and_board(micropython: Interpreter, tmp_path: Path) -> None:
    cases = mutated(SEED)
    wanted = [host(case) for case in cases]
    said = board(micropython, tmp_path, cases)
    assert 50 < said.count("refused") < len(cases) - 50
    differ = [(case, here, there) for case, here, there in zip(cases, wanted, said, strict=True) if here != there]
    assert differ == []


def test_syntax_check_agrees_with_the_parser_of_the_host() -> None:
    for seed in range(SEED, SEED + 20):
        for case in mutated(seed):
            try:
                check(without_mark(case))
                accepted = True
            except ValueError:
                accepted = False
            try:
                json.dumps(parse_config(case))
                wanted = True
            except ConfigTextError as error:
                wanted = "one object" in str(error)  # of another type, and valid
            assert accepted == wanted, case


def test_any_flipped_bit_ends_in_a_config_or_in_one_line(micropython: Interpreter, tmp_path: Path) -> None:
    good = b'{"endpoint": "a.example", "client_id": "b1", "qos": 1, "wifi": {"ssid": "n", "password": ""}}\n'
    cases = [good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :] for at in range(len(good)) for bit in range(8)]
    assert board(micropython, tmp_path, cases) == [host(case) for case in cases]
