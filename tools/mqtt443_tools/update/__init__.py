"""`mqtt443 update`: updates boards over the air, through AWS IoT Jobs."""
