"""Puts our files and a config onto a board: over its serial port, or as a littlefs image for a factory.

push_command.py is `mqtt443 push`. push.py says in which order things happen; plan.py what changes; board_tree.py what
goes there; board_programs.py what the board is asked; serial_repl.py is the only file that knows mpremote. bundle.py
makes images.
"""
