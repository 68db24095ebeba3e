"""What is frozen into the test interpreters."""
# ruff: noqa: F821 - MicroPython gives a manifest its functions

# Frozen on the ESP32 too. The rest that is frozen there comes from micropython-lib, which Debian leaves out.
include("$(MPY_DIR)/extmod/asyncio")
module("rom_names.py", opt=3)
