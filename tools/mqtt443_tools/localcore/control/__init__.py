"""The control channel of a running endpoint, both sides."""
