"""Many boards from a table."""
