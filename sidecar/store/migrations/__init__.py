"""The schema, version by version, in frozen text."""
