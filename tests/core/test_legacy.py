"""Ids of legacy payloads: found, derived or left to be made; nothing that comes in can break it. COR-3."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.correlation import Source
from sidecar.core.enqueue import Request
from sidecar.core.legacy import JOB_TYPES, MAX_READ, adopt
from sidecar.core.refusals import RefusalError


def adopted(payload: object = b"", job_type: str = "api", **fields: Any) -> Request:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return adopt(Request("default", "audit", payload=data, **fields), job_type)


@pytest.mark.parametrize(
    ("payload", "execution_id", "request_id"),
    [
        ({"execution_id": "e", "request_id": "r"}, "e", "r"),
        ({"executionId": "e", "requestId": "r"}, "e", "r"),
        ({"correlation": {"execution_id": "e", "request_id": "r"}}, "e", "r"),
        ({"correlation": {"executionId": "e", "requestId": "r"}}, "e", "r"),
        ({"execution_id": "own", "correlation": {"execution_id": "inner", "request_id": "r"}}, "own", "r"),
        ({"execution_id": "first", "executionId": "second"}, "first", ""),
        ({"request_id": "r"}, "", "r"),
        ({"execution_id": "a b", "executionId": "fit"}, "fit", ""),
        ({"execution_id": 7, "request_id": None, "correlation": "e"}, "", ""),
        ({"execution_id": "", "request_id": "x" * 257}, "", ""),
        ({"execution_id": "\u00e9", "request_id": "line\n"}, "", ""),
        (["execution_id", "e"], "", ""),
        ("e", "", ""),
        (b"", "", ""),
        (b"{", "", ""),
        (b"\xff\xfe", "", ""),
        (b"[" * 200_000, "", ""),
        (b"9" * 5_000, "", ""),
    ],
)
def test_ids_are_read_where_they_are_well_formed(payload: object, execution_id: str, request_id: str) -> None:
    """COR-3: from the payload, then from a partial correlation; what is malformed counts as absent."""
    found = adopted(payload)
    assert (found.execution_id, found.request_id) == (execution_id, request_id)
    assert found.fallback


def test_a_payload_that_is_too_large_is_not_looked_into() -> None:
    ids = b'{"execution_id": "e", "more": "' + b"x" * MAX_READ + b'"}'
    assert adopted(ids).execution_id == ""


def test_what_the_request_says_itself_stands() -> None:
    found = adopted({"execution_id": "e", "request_id": "r"}, execution_id="mine", request_id="ours")
    assert (found.execution_id, found.request_id) == ("mine", "ours")


@pytest.mark.parametrize(("job_type", "source"), [(name, source) for name, (source, _) in JOB_TYPES.items()])
def test_the_job_type_decides_where_it_came_from(job_type: str, source: Source) -> None:
    found = adopted(job_type=job_type, trigger_type="manual")
    assert (found.source, found.trigger_type) == (source, job_type)


def test_another_job_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(RefusalError, match="must be one of api, schedule, webhook"):
        adopted(job_type="cron")


def test_the_same_external_id_is_the_same_execution() -> None:
    """COR-3: by namespace, source and external id; the payload's own id comes first."""
    first = adopted(b"x", external_id="m-1").execution_id
    assert first == adopted(b"y", external_id="m-1").execution_id
    assert len(first) == 32
    others = {
        adopted(external_id="m-2").execution_id,
        adopted(job_type="webhook", external_id="m-1").execution_id,
        adopt(Request("other", "audit", external_id="m-1"), "api").execution_id,
        adopted({"execution_id": "e"}, external_id="m-1").execution_id,
    }
    assert len(others | {first}) == 5


NAMES = st.sampled_from(["execution_id", "executionId", "request_id", "requestId", "correlation"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | NAMES, inner),
)


@given(
    st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON)).map(json.dumps).map(str.encode) | st.binary()
)
def test_whatever_comes_in_comes_out_well_formed_and_the_same_each_time(payload: bytes) -> None:
    found = adopted(payload, external_id="m-1")
    assert found == adopted(payload, external_id="m-1")
    for value in (found.execution_id, found.request_id or "r"):
        assert 1 <= len(value) <= 256
        assert value.isascii()
        assert value.isprintable()
        assert " " not in value
    assert (found.payload, found.external_id) == (payload, "m-1")
