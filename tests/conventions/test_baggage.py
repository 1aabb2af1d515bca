"""Baggage goes on verbatim, within the bounds of the recommendation."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.conventions import baggage


def test_text_is_kept_verbatim_with_properties_and_spaces() -> None:
    text = "userId=alice%20b , serverNode=DF%2028;prop=1 ; x,empty="
    assert baggage.combine([text]) == text


def test_several_headers_combine_in_order() -> None:
    assert baggage.combine(["a=1", "", "b=2;p", "a=3"]) == "a=1,b=2;p,a=3"


def test_the_space_around_a_header_is_not_part_of_it() -> None:
    assert baggage.combine([" a=1\t", "\t", " b = 2 ,c "]) == "a=1,b = 2 ,c"
    assert baggage.combine(["\u00e4, b=2 "]) == "b=2"


def test_sixty_four_members_pass_and_more_are_cut_whole() -> None:
    members = [f"k{n}=v" for n in range(70)]
    assert baggage.combine([",".join(members[:64])]) == ",".join(members[:64])
    assert baggage.combine([",".join(members)]) == ",".join(members[:64])


def test_8192_bytes_pass_and_a_member_beyond_is_left_out_whole() -> None:
    whole = "k=" + "v" * 8_190
    assert baggage.combine([whole]) == whole
    assert baggage.combine(["a=1", whole]) == "a=1"


def test_a_member_that_no_header_may_hold_is_left_out() -> None:
    assert baggage.combine(["a=1,b=\u00e4,c=\r\nx: y,d=4"]) == "a=1,d=4"


@given(st.lists(st.text(), max_size=5))
def test_the_result_is_within_bounds_and_stable(values: list[str]) -> None:
    text = baggage.combine(values)
    assert len(text.encode()) <= baggage.MAX_BYTES
    assert text.count(",") < baggage.MAX_MEMBERS
    assert baggage.combine([text]) == text
