"""Benchmarks of the authorizer: the import at a cold start, and the decisions of a warm one."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.handler import Authorizer
from mqtt443_authorizer.memorystore import MemoryStore
from mqtt443_authorizer.policy import Template
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT

from bench.figures import Figure
from tests.support.aws.logins import CHOSEN, CONTEXT, GENERATED, device, event

RUNS = 7
DECISIONS = 200
IMPORT = (
    "import time; began = time.perf_counter(); import mqtt443_authorizer.handler; print(time.perf_counter() - began)"
)


def authorizer() -> list[Figure]:
    """Measure the import in a fresh interpreter, and decisions with both kinds of secret, without the store."""
    imports = tuple(_import_ms() for _ in range(RUNS))
    middle = statistics.median(imports)
    figures = [
        Figure(
            "authorizer: cold import", "ms", middle, goal="<= 100", met=middle <= 100, runs=RUNS, all_runs=(imports,)
        )
    ]
    for name, secret in (("generated", GENERATED), ("chosen", CHOSEN)):
        took = _decisions_ms(device(secrets=(secret,)))
        for percent in (50, 99):
            value = took[len(took) * percent // 100]
            figures.append(Figure(f"authorizer: warm decision, {name} secret, p{percent}", "ms", value, runs=len(took)))
    return figures


def _import_ms() -> float:
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout) * 1000


def _decisions_ms(registered: Device) -> list[float]:
    """Return the durations of many logins, sorted."""
    deciding = Authorizer(
        MemoryStore([registered]),
        Template.load(),
        refresh_s=300,
        disconnect_s=300,
        clock=time.perf_counter,
        log=json.dumps,
    )
    login = event("mqtt")
    took = []
    for _ in range(DECISIONS):
        began = time.perf_counter()
        answer = deciding.decide(login, CONTEXT)
        took.append((time.perf_counter() - began) * 1000)
        if not answer["isAuthenticated"]:
            raise CommandError("the authorizer refused the measured login")
    return sorted(took)
