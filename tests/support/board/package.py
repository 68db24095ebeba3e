"""Makes the board's package run on CPython inside pytest: umqtt, and the modules that only MicroPython has.

Import this module before anything of `mqtt443` that needs umqtt. `mqtt443_tools.virtualboard` and umqtt define these
modules; tests on real MicroPython use `tests.support.board.interpreters`.
"""

import sys

from mqtt443_tools.support.paths import ROOT, UMQTT

FIRMWARE = ROOT / "firmware"
SHIMS = ROOT / "tools" / "mqtt443_tools" / "virtualboard" / "shims"

if not (UMQTT / "umqtt" / "simple.py").is_file():
    raise RuntimeError("umqtt is missing: run `make test`, or `python -m mqtt443_tools.support.fetch_umqtt`")
for folder in (UMQTT, SHIMS):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
