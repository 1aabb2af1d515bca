"""Telemetry: from facts to OTLP bytes, and from the outbox to a collector."""
