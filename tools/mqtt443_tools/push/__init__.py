"""Puts our files and a config on a board: over its serial port, or as a littlefs image for a factory.

push_command.py is `mqtt443 push`. push.py has the order of the steps; plan.py finds the changes; board_tree.py collects
the files; board_programs.py has the programs that run on the board; only serial_repl.py knows mpremote. bundle.py makes
images.
"""
