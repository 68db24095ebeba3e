"""`mqtt443 run`: takes a board on USB from whatever is on it to its first telemetry."""
