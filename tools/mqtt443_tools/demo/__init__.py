"""`make demo`: the whole path of a reading, on this machine."""
