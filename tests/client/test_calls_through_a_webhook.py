"""W3C Trace Context through a webhook that is answered with the outcome: in, through the worker, and out."""

import json
from collections.abc import Iterator

import pytest

from sidecar.client import Run, Worker
from sidecar.v1 import definitions_pb2 as defs
from tests.client.conftest import Serve
from tests.client.upstream import Upstream
from tests.processes import SidecarProcess
from tests.web import SECRET, Web, seconds, trusted, webs

pytestmark = pytest.mark.conformance

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLS = ("/first", "/second", "/third")


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as opened:
        yield opened


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    yield service
    service.close()


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_every_call_out_stays_in_the_senders_trace_under_a_parent_of_its_own(
    web: Web, serve: Serve, upstream: Upstream, flags: str
) -> None:
    """WEB-3, WEB-4: sampled or not; the specification asks for a new parent id on each outgoing call."""

    def handler(run: Run) -> dict[str, str]:
        for path in CALLS:
            with run.step(f"GET {path}") as step:
                upstream.get(path, step.headers())
        return {"done": "yes"}

    worker = Worker(web.sidecar.target, namespace=web.wire.namespace)
    worker.workflow("audit")(handler)
    serve(worker)
    path = web.hook(verification=trusted(defs.VERIFICATION_SCHEME_BEARER), wait=seconds(20))
    answer = web.deliver(
        path,
        headers={
            "authorization": f"Bearer {SECRET}",
            "traceparent": f"00-{TRACE}-{CALLER}-{flags}",
            "tracestate": "0vendor@x=1,congo=t61",
        },
    )
    assert (answer.status_code, json.loads(answer.content)) == (200, {"done": "yes"})
    arrived = [upstream.arrived[each] for each in CALLS]
    parts = [headers["traceparent"][0].split("-") for headers in arrived]
    assert {(part[1], part[3]) for part in parts} == {(TRACE, flags)}
    parents = {part[2] for part in parts}
    assert len(parents) == len(CALLS)
    assert CALLER not in parents
    assert [headers["tracestate"] for headers in arrived] == [["0vendor@x=1,congo=t61"]] * len(CALLS)
