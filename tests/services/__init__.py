"""Real services for the tests: a Collector, a Jaeger, a PostgreSQL, and an OTLP sink of our own."""
