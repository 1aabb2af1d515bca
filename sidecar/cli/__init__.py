"""The `sidecar` command; talks to the API like any other client."""
