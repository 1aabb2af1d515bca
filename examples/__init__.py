"""Programs that use the sidecar as any service would; not part of the distribution."""
