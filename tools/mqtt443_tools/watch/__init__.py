"""`mqtt443 watch`: shows messages as they arrive."""
