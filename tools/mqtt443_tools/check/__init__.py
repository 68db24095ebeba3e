"""Tries every step from a board to its endpoint, and names the first one that fails.

check_command.py is `mqtt443 check`. walk.py has the order of the steps; causes.py every cause that it can name.
"""
