"""The host side of mqtt443: the command line, the local endpoint, the virtual board."""
