"""`mqtt443 config`: makes and shows a board's config.json."""
