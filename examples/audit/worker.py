"""A worker process of the demo: `python -m examples.audit.worker TARGET NAME FOLDER`."""

import sys
import threading
from pathlib import Path

from examples.audit import plan, tracing, workflow
from examples.audit.ways import CLOCK
from sidecar.client import Worker

CONCURRENCY = 6


def main(target: str, name: str, folder: Path) -> None:
    """Take audits until SIGTERM, and beside them what the clock sets off: no backlog holds that up."""
    tracing.set_up("audit-worker")
    resource = {"service.name": "audit-worker", "service.instance.id": name}
    audits = Worker(target, concurrency=CONCURRENCY, resource=resource)
    workflow.audits(audits)
    clock = Worker(target, queues=[CLOCK], concurrency=1, resource=resource)
    workflow.tallies(clock, plan.measured_in(folder))
    beside = threading.Thread(target=clock.run, name="clock", daemon=True)
    beside.start()
    audits.run()
    clock.stop()
    beside.join()
    tracing.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
