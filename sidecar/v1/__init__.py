"""Generated stubs of `proto/sidecar/v1`; regenerate with `make proto`."""
