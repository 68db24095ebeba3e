"""Runs at power-on, after boot.py: the mqtt443 board program with config.json from this folder.

It ends at the prompt and says why: after Ctrl-C, in safe mode, after three crashes in a row, or if the config cannot be
used. It resets the board only when asked to (reset_after, watchdog_s, deep_sleep, a command or a job). Never replaced
over the air.
"""

on_trial = globals().get("trial")  # set by boot.py
if on_trial:
    on_trial()
else:
    try:
        from mqtt443 import run
    except ImportError as error:
        print("mqtt443 cannot be loaded (%s): copy the folder firmware/mqtt443 to /lib on the board" % error)
    else:
        run()
