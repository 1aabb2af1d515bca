"""What sets executions off without a gRPC caller: schedules and webhooks."""
