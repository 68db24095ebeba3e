"""Runs first at power-on. Nothing is done here: what main.py needs, it does itself, and a prompt stays reachable."""
