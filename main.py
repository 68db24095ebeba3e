"""Runs at power-on, after boot.py: the mqtt443 board program with config.json from this folder.

Whatever happens, it ends at the prompt with a line that says why; it never resets the board.
"""

try:
    from mqtt443 import run
except ImportError as error:
    print("mqtt443 cannot be loaded (%s): copy the folder firmware/mqtt443 to /lib on the board" % error)
else:
    run()
