"""A worker process of the demo: `python -m examples.audit.worker TARGET NAME`."""

import sys

from examples.audit import tracing, workflow
from sidecar.client import Worker

CONCURRENCY = 6


def main(target: str, name: str) -> None:
    """Take audits until SIGTERM."""
    tracing.set_up("audit-worker")
    worker = Worker(
        target,
        concurrency=CONCURRENCY,
        resource={"service.name": "audit-worker", "service.instance.id": name},
    )
    workflow.register(worker)
    worker.run()
    tracing.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
