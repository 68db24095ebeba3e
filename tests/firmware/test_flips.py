"""Every flip of every bit of what a board keeps: it reads what was written, the version before, or nothing."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.firmware.micropython import run
from tests.support.board import interpreters

# Prints what went wrong, and how many flips gave what was written, the version before, or nothing.
PROGRAM = """
import os
from mqtt443 import storage
from mqtt443.flash_log import Segments

count = {}

def flips(name, judge):
    with open(name, "rb") as file:
        data = bytearray(file.read())
    for at in range(len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            with open(name, "wb") as file:
                file.write(data)
            try:
                said = judge()
            except Exception as e:
                said = "%s at byte %d, bit %d of %s" % (repr(e), at, bit, name)
            count[said] = count.get(said, 0) + 1
            data[at] ^= 1 << bit
    with open(name, "wb") as file:
        file.write(data)

OLD, NEW = {"interval_s": 5}, {"interval_s": 7, "cause": "watchdog"}
storage.save_state("state", OLD)
storage.save_state("state", NEW)

def state():
    lines = []
    values = storage.load_state("state", lines.append)
    if values == OLD and len(lines) == 1:
        return "state: before"
    return "state: written" if values == NEW else "state: wrong %s" % values

flips("state", state)
flips("state.old", state)

RECORDS = [(b"first", 0), (b"second record", 1900000000), (b"", 0), (b"last", 7)]
Segments("outbox", 65536).append(RECORDS)

def outbox():
    log = Segments("outbox", 65536)
    got = []
    while True:
        record = log.next()
        if record is None:
            break
        got.append(record[:2])
    if got == RECORDS[: len(got)] and log.corrupt == (len(got) < len(RECORDS)):
        return "outbox: the records before the flip"
    return "outbox: wrong %s" % got

flips("outbox/00000000", outbox)
"""


# A board's `machine` where the interpreter has none: RTC memory in a file.
MACHINE = """
class RTC:
    def memory(self, data=None):
        if data is not None:
            with open("rtc", "wb") as file:
                file.write(data)
            return
        with open("rtc", "rb") as file:
            return file.read()
"""

REST = """
import json
from mqtt443 import boot, config_schema, errors, slots
from mqtt443.connection import new_context

storage.remember({"starts": 1, "subscribed": 3, "failures": 2})

def rtc():
    values = storage.recall()
    reason, cause, counters, interval_s = boot.count_start("", print)
    assert reason is None and interval_s == 7
    storage.remember({"starts": 1, "subscribed": 3, "failures": 2})
    if values == {"starts": 1, "subscribed": 3, "failures": 2}:
        return "rtc: written"
    return "rtc: nothing" if values == {} and "failures" not in counters else "rtc: wrong %s" % values

flips("rtc", rtc)

def good():
    try:
        config = config_schema.load("config.json", True)
    except errors.ConfigError as e:
        return "config.json.good: a line" if "\\n" not in e.args[0] else "config.json.good: lines"
    return "config.json.good: the config" if config.client_id == "dev1" else "config.json.good: wrong"

with open("config.json", "w") as file:
    file.write('{"endpoint": "a.example", "client_id": "dev1", "qos": 1}')
config_schema.load("config.json", True)
os.remove("config.json")
flips("config.json.good", good)

def slot():
    slot, starts, why = slots.read_slot("")
    return "slot: three fields"

slots.write_slot("", "b", "2")
flips("slot", slot)

def ca(name):
    def judge():
        try:
            new_context(name)
        except errors.ConfigError as e:
            return "ca: a line" if "\\n" not in e.args[0] else "ca: lines"
        return "ca: a certificate"

    with open(name, "rb") as file:
        data = file.read()
    for size in range(len(data)):
        with open(name, "wb") as file:
            file.write(data[:size])
        try:
            said = judge()
        except Exception as e:
            said = "%s at %d bytes of %s" % (repr(e), size, name)
        count[said] = count.get(said, 0) + 1
    with open(name, "wb") as file:
        file.write(data)
    flips(name, judge)

ca("ca.der")
ca("ca.pem")

from mqtt443 import job_record, trial

os.mkdir("update")
with open("update/index", "w") as file:
    for name in ("sensors.py", "board.py"):
        print(json.dumps({"path": name, "size": 3, "sha256": "0" * 64}), file=file)
    print(json.dumps({"path": "gone.py", "delete": True}), file=file)
CRC = job_record.index_crc("")
FILES = {"sensors.py": "old", "sensors.py.staged": "new", "board.py.staged": "new", "gone.py": "old"}

def index():
    for name in FILES:
        with open(name, "w") as file:
            file.write(FILES[name])
    job_record.save("", {"id": "j#1", "step": "swap", "action": "files", "within_s": 60, "index": CRC})
    trial_of = trial.begin("")
    record = job_record.load("")
    for name in FILES:
        with open(name) as file:
            if file.read() != FILES[name]:
                return "index: %s is changed" % name
    if trial_of != (None, None) or record["step"] != "failed" or "damaged" not in record["reason"]:
        return "index: %s, %s" % (trial_of, record)
    job_record.wipe_files("")
    return "index: the files before"

flips("update/index", index)
for said in sorted(count):
    print(count[said], said)
"""


@pytest.mark.parametrize("name", ["alpn32", "stock"])
def test_any_flipped_bit_in_a_file_of_the_board_is_recovered(tmp_path: Path, name: str) -> None:
    ca = trustme.CA().cert_pem
    (tmp_path / "ca.pem").write_bytes(ca.bytes())
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(ca.bytes().decode()))
    (tmp_path / "machine.py").write_text(MACHINE)
    said = run(interpreters.need(name), tmp_path, PROGRAM + REST).splitlines()
    assert {line.split(" ", 1)[1] for line in said} == {
        "state: before",
        "state: written",
        "outbox: the records before the flip",
        "rtc: nothing",
        "config.json.good: a line",
        "slot: three fields",
        "ca: a line",
        "ca: a certificate",  # with a bit wrong that only a signature shows, or none
        "index: the files before",
    }
    assert sum(int(line.split(" ")[0]) for line in said) > 14_000
