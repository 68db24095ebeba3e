"""`mqtt443 board`: one virtual board."""
