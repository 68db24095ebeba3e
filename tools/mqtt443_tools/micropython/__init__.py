"""Real MicroPython for the tests and the virtual board: builds interpreters from Debian's source packages.

`python -m mqtt443_tools.micropython build` builds them; recipes.py finds them.
"""
