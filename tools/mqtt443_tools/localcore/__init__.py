"""The local AWS IoT Core endpoint."""
