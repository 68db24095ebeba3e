"""The interpreters themselves: each is the MicroPython that its name says."""

import json
import re
import subprocess

import pytest
from mqtt443_tools.micropython.recipes import RECIPES
from mqtt443_tools.support.paths import ROOT, UMQTT

from tests.support.board import interpreters

SHIMS = ROOT / "tools" / "mqtt443_tools" / "virtualboard" / "shims"

REPORT = """
import gc, json, struct, sys, tls
import asyncio
def has(name):
    try:
        __import__(name)
        return True
    except ImportError:
        return False
print(json.dumps({
    "version": sys.version.split()[2],
    "mbedtls": tls.MBEDTLS_VERSION,
    "bits": 8 * struct.calcsize("P"),
    "alpn": has("alpn"),
    "double": 1 + 2 ** -40 != 1,
}))
"""
# What plays the chip is imported between the two; its names must be in ROM, as they are on a chip.
NAMES = """
import micropython, sys
sys.path += %r
micropython.qstr_info()
import machine, network, esp32, ntptime, umqtt.simple, _flash
micropython.qstr_info()
"""
PROMISES = {
    "stock": {"bits": 64, "alpn": False, "double": True},
    "alpn": {"bits": 64, "alpn": True, "double": True},
    "alpn32": {"bits": 32, "alpn": True, "double": False},
    "stock-1.25": {"bits": 64, "alpn": False, "double": True},
    "frozen32": {"bits": 32, "alpn": True, "double": False},
}


@pytest.mark.parametrize("name", PROMISES)
def test_interpreter_matches_its_name(name: str) -> None:
    command = [*interpreters.need(name).command, "-c", REPORT]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout)
    assert report.pop("mbedtls").startswith("Mbed TLS 3.6.")
    assert report.pop("version").removeprefix("v") in {source.version for source in RECIPES[name].micropython}
    assert report == PROMISES[name]


@pytest.mark.parametrize("name", PROMISES)
def test_shims_add_no_names_to_the_heap(name: str) -> None:
    command = [*interpreters.need(name).command, "-c", NAMES % [str(SHIMS), str(UMQTT)]]
    told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    before, after = (int(count) for count in re.findall(r"n_qstr=(\d+)", told))
    # Names of files and short texts come on top; without the frozen names it is over 200.
    assert after - before <= 24
