"""Texts of tracestate and baggage as they come, each with what must go on of it.

Sources: https://www.w3.org/TR/trace-context-2/#tracestate-header and https://www.w3.org/TR/baggage/
"""

THIRTY_TWO = [f"bar{n:02}={n:02}" for n in range(1, 33)]
PUNCTUATION = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in ",=")
LONG_MEMBERS = [f"{'k' * 254}{n:02}={'v' * 256}" for n in range(32)]

STATES: dict[str, tuple[list[str], str]] = {
    "one-member": (["congo=t61rcWkgMzE"], "congo=t61rcWkgMzE"),
    "order-is-kept": (["rojo=00f067aa0ba902b7,congo=t61"], "rojo=00f067aa0ba902b7,congo=t61"),
    "several-headers-in-order": (
        ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
        "foo=1,bar=2,rojo=1,congo=2,baz=3",
    ),
    "32-members": ([",".join(THIRTY_TWO)], ",".join(THIRTY_TWO)),
    "32-members-in-several-headers": (
        [",".join(THIRTY_TWO[:10]), ",".join(THIRTY_TWO[10:])],
        ",".join(THIRTY_TWO),
    ),
    "33-members": ([",".join([*THIRTY_TWO, "one=more"])], ""),
    "33-members-in-several-headers": ([",".join(THIRTY_TWO), "one=more"], ""),
    "32-members-and-empty-ones": ([",".join([*THIRTY_TWO, "", " "])], ",".join(THIRTY_TWO)),
    "32-longest-members": ([",".join(LONG_MEMBERS)], ",".join(LONG_MEMBERS)),
    "empty-header": ([""], ""),
    "empty-header-first": (["", "foo=1"], "foo=1"),
    "empty-header-last": (["foo=1", ""], "foo=1"),
    "empty-members": ([",foo=1,,bar=2,"], "foo=1,bar=2"),
    "blank-members": (["foo=1, ,bar=2"], "foo=1,bar=2"),
    "blank-members-with-tabs": (["foo=1,\t,bar=2"], "foo=1,bar=2"),
    "repeated-key": (["foo=1,bar=2,foo=3"], "foo=1,bar=2"),
    "repeated-member": (["foo=1,foo=1"], "foo=1"),
    "repeated-key-in-another-header": (["foo=1", "foo=2,bar=3"], "foo=1,bar=3"),
    "spaces-around-members": ([" foo=1 , bar=2  ,baz=3 "], "foo=1,bar=2,baz=3"),
    "tabs-around-members": (["\tfoo=1\t \t,\t \tbar=2,\tbaz=3"], "foo=1,bar=2,baz=3"),
    "spaces-before-a-value-belong-to-it": (["foo=  1 2,bar= 3"], "foo=  1 2,bar= 3"),
    "key-that-starts-with-a-digit": (["0vendor=1"], "0vendor=1"),
    "key-of-digits": (["1234567890=1"], "1234567890=1"),
    "key-with-at-and-tenant": (["tenant@vendor=1"], "tenant@vendor=1"),
    "key-with-several-ats": (["foo@bar@baz=1,foo@@bar=2"], "foo@bar@baz=1,foo@@bar=2"),
    "key-that-ends-with-at": (["foo@=1"], "foo@=1"),
    "key-with-at-before-a-digit": (["foo@1=1"], "foo@1=1"),
    "key-with-star-slash-dash-underscore": (["a*/-_@b=1"], "a*/-_@b=1"),
    "key-with-a-long-vendor": ([f"t@{'v' * 15}=1"], f"t@{'v' * 15}=1"),
    "key-with-a-long-tenant": ([f"{'t' * 242}@v=1"], f"{'t' * 242}@v=1"),
    "key-of-256": ([f"foo=1,{'z' * 256}=1"], f"foo=1,{'z' * 256}=1"),
    "key-of-256-from-a-digit": ([f"0{'@' * 255}=1"], f"0{'@' * 255}=1"),
    "key-of-257": ([f"foo=1,{'z' * 257}=1"], ""),
    "key-in-capitals": (["foo=1,FOO=1"], ""),
    "key-with-a-dot": (["foo.bar=1"], ""),
    "key-with-a-space": (["foo =1"], ""),
    "key-from-at": (["@foo=1,bar=2"], ""),
    "key-from-underscore": (["_foo=1"], ""),
    "key-missing": (["=1,bar=2"], ""),
    "value-of-every-character": ([f"foo={PUNCTUATION}"], f"foo={PUNCTUATION}"),
    "value-of-256": ([f"foo={'v' * 256}"], f"foo={'v' * 256}"),
    "value-of-257": ([f"foo={'v' * 257}"], ""),
    "value-with-equals": (["foo=bar=baz"], ""),
    "value-missing": (["foo=,bar=3"], ""),
    "value-of-spaces": (["foo=  ,bar=3"], ""),
    "value-with-a-tab": (["foo=a\tb"], ""),
    "value-with-a-control-character": (["foo=a\x7fb"], ""),
    "value-not-ascii": (["foo=b\u00e4r"], ""),
    "member-without-equals": (["good=1,bad"], ""),
    "bad-header-among-good-ones": (["good=1", "bad", "fine=2"], ""),
}

MEMBERS_64 = [f"k{n:02}={'v' * 116};p=%20q" + ("w" if n == 0 else "") for n in range(64)]
FULL = ",".join(MEMBERS_64)

BAGGAGES: dict[str, tuple[list[str], str]] = {
    "one-member": (["userId=alice"], "userId=alice"),
    "several-headers-in-order": (["a=1,b=2", "c=3;p", "a=4"], "a=1,b=2,c=3;p,a=4"),
    "an-empty-header-among-several": (["a=1", "", "b=2"], "a=1,b=2"),
    "properties": (["k1=v1;p1;p2=x , k2 = v2;p3 = y"], "k1=v1;p1;p2=x , k2 = v2;p3 = y"),
    "percent-encoding-untouched": (["a=DF%2028%2c%C3%a4,b=%zz%"], "a=DF%2028%2c%C3%a4,b=%zz%"),
    "plus-and-equals-untouched": (["a=b+c==,d="], "a=b+c==,d="),
    "repeated-keys": (["a=1,a=2"], "a=1,a=2"),
    "spaces-around": (["  a=1 "], "a=1"),
    "tabs-around": (["\ta=1\t,\tb=2 "], "a=1\t,\tb=2"),
    "64-members-of-8192-bytes": ([FULL], FULL),
    "64-members-of-8192-bytes-in-two-headers": (
        [",".join(MEMBERS_64[:30]), ",".join(MEMBERS_64[30:])],
        FULL,
    ),
    "65-members": ([",".join(f"k{n}=v;p" for n in range(65))], ",".join(f"k{n}=v;p" for n in range(64))),
    "8193-bytes": ([f"{FULL}x"], ",".join(MEMBERS_64[:-1])),
    "one-member-of-8192-bytes": ([f"k={'v' * 8_190}"], f"k={'v' * 8_190}"),
    "one-member-of-8193-bytes": ([f"k={'v' * 8_191}"], ""),
    "a-member-not-ascii": (["a=1,b=\u00e4,c=3"], "a=1,c=3"),
    "a-member-that-would-split-headers": (["a=1,b=2\r\nx: y,c=3"], "a=1,c=3"),
}
