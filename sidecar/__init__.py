"""An OpenTelemetry-centric execution sidecar: no lost outcome, no broken trace."""
