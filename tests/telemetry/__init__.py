"""What leaves over OTLP, and how."""
