"""Deliveries while the store is away: nobody hears 2xx, and the same delivery again is one execution."""

from pathlib import Path

import pytest

from tests.conformance.test_store_away import down, locked
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.services.postgres import Postgres
from tests.web import DELIVERY, reason, webs
from tests.wire import PATIENCE


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_delivery_is_told_to_come_again_and_then_counts_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """ADM-4, invariant 3; the probes say what is the matter."""
    postgres: Postgres | None = request.getfixturevalue("postgres") if kind == "postgres" else None
    store = postgres.create_database() if postgres else None
    with SidecarProcess(tmp_path, store, SIDECAR_STORE_PATIENCE="500ms") as house, webs(house) as web:
        path = web.hook()
        with down(postgres) if postgres else locked(tmp_path / "sidecar.db"):
            answer = web.deliver(path, headers={DELIVERY: "d-1"})
            assert (answer.status_code, reason(answer)) == (503, "STORE_UNAVAILABLE")
            assert answer.headers["retry-after"] == "1"
            ready = web.client.get("/readyz")
            assert (ready.status_code, ready.json()) == (503, {"status": "store_away"})
            assert web.client.get("/livez").status_code == 200
        await_condition(lambda: web.client.get("/readyz").status_code == 200, "it is ready again", PATIENCE)
        answers = [web.deliver(path, headers={DELIVERY: "d-1"}) for _ in range(2)]
        assert [a.status_code for a in answers] == [202, 202]
        assert len(web.records()) == 1
