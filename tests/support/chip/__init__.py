"""Chips and serial ports for tests."""
