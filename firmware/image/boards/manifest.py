"""What the image carries frozen: all that the stock board does, and our package."""
# ruff: noqa: F821 - MicroPython gives a manifest its functions

include("$(PORT_DIR)/boards/manifest.py")
include("../../manifest.py")
