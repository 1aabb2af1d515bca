"""An audit of the standard library, run as several hundred durable executions: `make demo`."""
