"""W3C Trace Context level 2: each rule that the stock propagator breaks, and the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.conventions import trace_context
from sidecar.conventions.carrier import Carrier

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (VALID, 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"00-{TRACE}-{SPAN}-08", 0),
        (f" {VALID}\t", 1),
        (f"01-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", 1),
        (f"cc-{TRACE}-{SPAN}-01-", 1),
    ],
)
def test_valid_parents_are_read_and_unknown_flags_cleared(text: str, flags: int) -> None:
    parent = trace_context.parse_traceparent([text])
    assert parent == trace_context.TraceParent(TRACE, SPAN, flags)
    assert parent.sampled == bool(flags & 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        VALID.upper(),
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-extra",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.extra",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00_{TRACE}_{SPAN}_01",
        f"{VALID}\n",
        f"{VALID},{VALID}",
        f"00-{TRACE}-{SPAN}-0\u0661",
    ],
)
def test_invalid_parents_are_none(text: str) -> None:
    assert trace_context.parse_traceparent([text]) is None


def test_two_headers_are_invalid_even_if_equal() -> None:
    assert trace_context.parse_traceparent([VALID, VALID]) is None
    assert trace_context.parse_traceparent([]) is None


def test_a_repeated_parent_drops_tracestate_but_not_baggage() -> None:
    headers = [("traceparent", VALID), ("Traceparent", VALID), ("tracestate", "a=1"), ("baggage", "k=v")]
    assert trace_context.from_headers(headers) == Carrier("", "", "k=v")


def test_headers_of_any_case_and_several_tracestates_combine_in_order() -> None:
    headers = [("TraceParent", VALID), ("tracestate", "b=2, a=1"), ("other", "x"), ("TRACESTATE", "c=3")]
    assert trace_context.from_headers(headers) == Carrier(VALID, "b=2,a=1,c=3", "")


@pytest.mark.parametrize(
    ("values", "combined"),
    [
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", "bar=2"], "foo=1,bar=2"),
        (["foo=1 \t,\tbar=2 "], "foo=1,bar=2"),
        (["foo=1,,", "", "bar=2"], "foo=1,bar=2"),
        (["1a=1"], "1a=1"),
        (["1@b@c/*=x"], "1@b@c/*=x"),
        ([f"{'k' * 256}=x"], f"{'k' * 256}=x"),
        (["foo=a b"], "foo=a b"),
        (["foo=1,foo=2,bar=3"], "foo=1,bar=3"),
        ([",".join(f"k{n}=v" for n in range(32))], ",".join(f"k{n}=v" for n in range(32))),
    ],
)
def test_tracestate_members_are_kept_in_order(values: list[str], combined: str) -> None:
    assert trace_context.combine_tracestate(values) == combined


@pytest.mark.parametrize(
    "value",
    [
        "foo",
        "=1",
        "foo=",
        "Foo=1",
        "_foo=1",
        "@foo=1",
        "foo =1",
        "foo=1=2",
        "foo=b\u00e4r",
        f"{'k' * 257}=x",
        f"foo={'v' * 257}",
        "good=1,bad",
        ",".join(f"k{n}=v" for n in range(33)),
    ],
)
def test_a_bad_tracestate_is_dropped_whole_and_never_harms_the_parent(value: str) -> None:
    context = trace_context.parse(Carrier(VALID, value, "k=v;p=1"))
    assert context is not None
    assert (context.parent.span_id, context.tracestate, context.baggage) == (SPAN, "", "k=v;p=1")


def test_no_parent_is_no_context() -> None:
    assert trace_context.parse(Carrier("", "a=1", "k=v")) is None


def test_the_random_flag_goes_on_and_others_do_not() -> None:
    assert trace_context.format_traceparent(TRACE, SPAN, 0xFF) == f"00-{TRACE}-{SPAN}-03"


@pytest.mark.parametrize(
    ("tracestate", "left"),
    [
        ("", ""),
        ("a=1,b=2", "a=1,b=2"),
        ("ot=th:8", ""),
        ("ot=th:0", ""),
        ("a=1,ot=th:8,b=2", "a=1,b=2"),
        ("ot=th:8;rv:6e6d1a75832a2f", "ot=rv:6e6d1a75832a2f"),
        ("ot=rv:6e6d1a75832a2f;th:8", "ot=rv:6e6d1a75832a2f"),
        ("ot=p:8;th:fd70a4;r:62", "ot=p:8;r:62"),
        ("0v@x=1,ot=th:8;rv:6e6d1a75832a2f,b= 2", "ot=rv:6e6d1a75832a2f,0v@x=1,b= 2"),
        ("a=1,ot=rv:6e6d1a75832a2f", "a=1,ot=rv:6e6d1a75832a2f"),
        ("a=1,ot=thx:8;xth:9", "a=1,ot=thx:8;xth:9"),
        ("a=1,tenant@ot=th:8,otx=th:8", "a=1,tenant@ot=th:8,otx=th:8"),
        ("ot=th:8;", ""),
        ("ot=rv:6e6d1a75832a2f ;th:8", "ot=rv:6e6d1a75832a2f"),
        ("ot=th:8,BAD=1", ""),
    ],
)
def test_without_its_threshold_a_tracestate_keeps_all_else(tracestate: str, left: str) -> None:
    assert trace_context.without_threshold(tracestate) == left


SUB_KEYS = st.lists(st.sampled_from(["th:8", "th:", "th", "rv:6e6d1a75832a2f", "x:1", "", " "]), max_size=4)


@given(SUB_KEYS.map(";".join), st.integers(0, 31), st.integers(0, 31))
def test_no_threshold_is_left_and_no_other_member_touched(value: str, before: int, after: int) -> None:
    others = [(f"k{n}", "th:1") for n in range(before + after)][:31]
    members = [*others[:before], ("ot", value), *others[before:]]
    text = ",".join(f"{key}={value}" for key, value in members)
    left = trace_context.parse_tracestate([trace_context.without_threshold(text)])
    if not trace_context.is_member("ot", value.rstrip()):
        assert left == []
        return
    assert [pair for pair in left if pair[0] != "ot"] == others
    assert not {"th", "th:", "th:8"} & {each for key, v in left if key == "ot" for each in v.split(";")}
    assert dict(left).get("ot", "").count("rv:") == value.count("rv:")


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [("0a@b", "x y", True), ("a", "x,y", False), ("a", "x=y", False), ("A", "x", False), ("a", "", False)],
)
def test_a_member_is_told_from_what_is_none(key: str, value: str, valid: bool) -> None:
    assert trace_context.is_member(key, value) == valid


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_any_headers_give_a_carrier_that_reads_back_the_same(parents: list[str], states: list[str]) -> None:
    headers = [*(("traceparent", p) for p in parents), *(("tracestate", s) for s in states)]
    carrier = trace_context.from_headers(headers)
    again = trace_context.from_headers(
        [("traceparent", carrier.traceparent), ("tracestate", carrier.tracestate)]
    )
    assert again == carrier


@given(st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z"))
def test_a_parent_that_was_read_can_be_written_and_read(text: str) -> None:
    parent = trace_context.parse_traceparent([text])
    if parent is None:
        assert text.startswith("ff") or "0" * 32 in text or "-" + "0" * 16 in text
    else:
        written = trace_context.format_traceparent(parent.trace_id, parent.span_id, parent.flags)
        assert trace_context.parse_traceparent([written]) == parent
