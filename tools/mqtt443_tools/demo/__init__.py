"""`make demo`: the whole way of a reading on this machine."""
