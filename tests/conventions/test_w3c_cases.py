"""Every case of the two specifications, at the codec."""

import pytest

from sidecar.conventions import baggage, trace_context
from tests.conventions.w3c_cases import CASES, SPAN, TRACE, Case
from tests.conventions.w3c_texts import FULL


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_goes_on_of_some_headers(case: Case) -> None:
    carrier = trace_context.from_headers(case.headers)
    assert carrier == case.carrier
    again = (
        ("traceparent", carrier.traceparent),
        ("tracestate", carrier.tracestate),
        ("baggage", carrier.baggage),
    )
    assert trace_context.from_headers(again) == carrier


@pytest.mark.parametrize("case", [c for c in CASES if c.fits_fields()], ids=lambda case: case.name)
def test_a_carrier_is_read_as_it_was_written(case: Case) -> None:
    carrier = trace_context.from_headers(case.headers)
    context = trace_context.parse(carrier)
    if case.flags is None:
        assert context is None
    else:
        parent = trace_context.TraceParent(TRACE, SPAN, case.flags)
        assert context == trace_context.RemoteContext(parent, case.tracestate, case.baggage)


def test_the_cases_reach_the_bounds_and_have_names_of_their_own() -> None:
    assert (len(FULL), len(FULL.split(","))) == (baggage.MAX_BYTES, baggage.MAX_MEMBERS)
    assert len({case.name for case in CASES}) == len(CASES)
    assert any(case.fits_metadata() and not case.fits_fields() for case in CASES)
