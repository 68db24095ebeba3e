"""Boards for tests."""
