"""Walks the way a board takes to its endpoint, step by step, and names the first broken link.

command.py is `mqtt443 check`. walk.py is the order of the steps; causes.py every cause that it can name.
"""
