"""A board without a chip: runs the unchanged boot.py and main.py on this machine."""
