"""Custom authorizers: which one is asked, with what, and what its answer grants."""
