"""`mqtt443 monitor`: shows a board's log."""
