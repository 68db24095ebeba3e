"""`mqtt443 send`: sends a command to a device, and shows its answer."""
