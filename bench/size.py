"""Benchmarks of size: .mpy bytes and heap of the whole package, compared with the budget and with umqtt."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import UMQTT
from mqtt443_tools.virtualboard import interpreters, package_size

from bench.figures import Figure
from bench.rig import Bench

TRANSPORTS = ("alpn", "wss")
GARBAGE_BYTES = 1536
"""The goal; `garbage_message_bytes` in budget.json is stricter, with room for a machine on which a PUBACK is late."""


def size(bench: Bench) -> list[Figure]:
    """Return one row per module, then the totals; the heap of umqtt is among the memory figures."""
    interpreter, frozen = interpreters.find("alpn32"), interpreters.find(interpreters.FROZEN)
    if interpreter is None or frozen is None:
        raise CommandError("an interpreter is not built; run `python -m mqtt443_tools.micropython build`")
    budget = json.loads(package_size.BUDGET.read_text())
    modules = package_size.mpy_bytes()
    with TemporaryDirectory(prefix="mqtt443-bench-") as folder:
        compile_package(UMQTT / "umqtt", Path(folder) / "umqtt")
        umqtt = sum(path.stat().st_size for path in (Path(folder) / "umqtt").iterdir())
        held, least, garbage = {}, {}, {}
        for transport in TRANSPORTS:
            config = bench.write_config(Path(folder), transport)
            held[transport] = package_size.heap(interpreter, config)
            least[transport] = package_size.least_heap(interpreter, config)
            garbage[transport] = package_size.garbage(interpreter, config)
        in_image = package_size.heap(frozen, bench.write_config(Path(folder), "alpn"))
    total = sum(modules.values())
    return [
        *(Figure(f".mpy, {name}", "bytes", count) for name, count in modules.items()),
        _within(".mpy, whole package", total, budget["mpy_bytes"], umqtt, "11208"),
        _within("heap after import", held["alpn"].after_import, budget["heap_after_import_bytes"]),
        *(
            _within(
                f"heap connected, whole board, {name}", held[name].connected, budget[f"heap_connected_{name}_bytes"]
            )
            for name in TRANSPORTS
        ),
        _within("names on the heap, wss", held["wss"].names, budget["names"], unit="names"),
        _within("heap connected, package frozen, alpn", in_image.connected, budget["heap_connected_frozen_bytes"]),
        *(
            _within(f"least heap that publishes, {name}", least[name], budget["least_heap_bytes"])
            for name in TRANSPORTS
        ),
        *(
            _within(f"garbage of a message, from reading to log line, {name}", garbage[name], GARBAGE_BYTES)
            for name in TRANSPORTS
        ),
    ]


def _within(
    name: str, ours: int, most: int, umqtt: int | None = None, mqtt_as: str | None = None, unit: str = "bytes"
) -> Figure:
    return Figure(name, unit, ours, umqtt, mqtt_as, f"<= {most}", ours <= most)
