"""`mqtt443 run`: takes a board on USB to its first telemetry, whatever is on it."""
