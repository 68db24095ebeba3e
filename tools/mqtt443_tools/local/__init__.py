"""`mqtt443 local`: runs the local AWS IoT Core endpoint."""
