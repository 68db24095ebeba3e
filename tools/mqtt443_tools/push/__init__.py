"""Puts our files and a config onto a board: over its serial port, or as a littlefs image for a factory.

command.py is `mqtt443 push`. push.py says in which order things happen; tree.py what goes there; remote.py what the
board is asked; link.py is the only file that knows mpremote. bundle.py and factory.py make images and labels.
"""
