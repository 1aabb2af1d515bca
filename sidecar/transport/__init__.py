"""The gRPC services: translate, validate, call the core; nothing else."""
