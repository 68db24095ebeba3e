"""What is frozen into the image: everything that the stock board has, and our package."""
# ruff: noqa: F821 - MicroPython gives a manifest its functions

include("$(PORT_DIR)/boards/manifest.py")
include("../../manifest.py")
