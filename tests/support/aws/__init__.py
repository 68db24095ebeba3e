"""AWS for tests."""
