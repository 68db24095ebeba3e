"""The interpreters themselves: each is the MicroPython that its name promises."""

import json
import subprocess

import pytest

from tests.support import interpreters
from tools.micropython import RECIPES

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
PROMISES = {
    "stock": {"bits": 64, "alpn": False, "double": True},
    "alpn": {"bits": 64, "alpn": True, "double": True},
    "alpn32": {"bits": 32, "alpn": True, "double": False},
    "stock-1.25": {"bits": 64, "alpn": False, "double": True},
}


@pytest.mark.parametrize("name", PROMISES)
def test_interpreter_is_what_its_name_promises(name):
    command = [*interpreters.need(name).command, "-c", REPORT]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout)
    assert report.pop("mbedtls").startswith("Mbed TLS 3.6.")
    assert report.pop("version").removeprefix("v") in {source.version for source in RECIPES[name].micropython}
    assert report == PROMISES[name]
