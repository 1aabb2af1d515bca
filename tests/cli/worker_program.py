"""A worker for the tests of the command: `python -m tests.cli.worker_program TARGET`."""

import sys
import time

from sidecar.client import FinalError, Run, Worker


def main(target: str) -> None:
    """Work until SIGTERM."""
    worker = Worker(target, queues=["work"], concurrency=4)

    @worker.workflow("echo")
    def echo(run: Run, payload: object) -> object:
        with run.step("look"):
            return {"got": payload}

    @worker.workflow("boom")
    def boom(payload: object) -> None:
        raise FinalError(f"cannot do {payload}", error_type="out.of.cheese")

    @worker.workflow("sleepy")
    def sleepy(run: Run) -> None:
        while not run.cancelled:
            time.sleep(0.02)
        run.raise_if_cancelled()

    worker.run()


if __name__ == "__main__":
    main(sys.argv[1])
