"""The `sidecar` command: its parts, and as a process against a real sidecar."""
