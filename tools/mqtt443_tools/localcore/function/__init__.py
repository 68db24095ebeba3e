"""The Lambda emulator."""
