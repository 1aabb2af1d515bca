"""Whatever stands in a manifest: it is read, or refused with words; never anything else."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.cli.manifest import KINDS, ManifestError, manifest
from sidecar.v1 import definitions_pb2 as defs

NAMES = st.sampled_from(
    sorted(
        {
            *("namespace", "enabled", "json_schema_file", *KINDS),
            *(
                field
                for kind in (
                    *(defs.Workflow, defs.Queue, defs.Webhook, defs.Schedule),
                    *(defs.RateLimit, defs.Concurrency, defs.Tracing, defs.Verification),
                )
                for field in kind.DESCRIPTOR.fields_by_name
            ),
        }
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.datetimes()
    | st.sampled_from(
        ["30s", "1e9d", "env:A", "* * * * *", "always", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRIES = st.lists(st.dictionaries(NAMES, VALUES, max_size=6) | VALUES, max_size=3)
DOCUMENTS = st.dictionaries(st.sampled_from([*KINDS, "namespace"]) | st.text(max_size=4), ENTRIES | VALUES)


def check(data: bytes, folder: Path) -> None:
    said, found = read_or_refused(data, folder)
    assert said.encode() or found
    assert len(b"".join(each.SerializeToString() for each in found)) >= len(found)


def read_or_refused(data: bytes, folder: Path) -> tuple[str, tuple[defs.Definition, ...]]:
    try:
        return "", manifest(data, folder).definitions
    except ManifestError as error:
        return str(error), ()


@settings(max_examples=400, deadline=None)
@given(document=DOCUMENTS)
def test_documents_are_read_or_refused_with_words(document: dict[str, Any]) -> None:
    check(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"), Path("/nowhere"))


@settings(max_examples=400, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused_with_words(data: bytes) -> None:
    check(data, Path("/nowhere"))


SYNTAX = st.lists(
    st.sampled_from(
        [
            *(
                "workflows",
                "queues",
                ":",
                " ",
                "\n",
                "  ",
                "- ",
                "[",
                "]",
                "{",
                "}",
                ",",
                "'",
                '"',
                "\\",
                "&a",
                "*a",
            ),
            *(
                "!!str ",
                "!x",
                "|",
                ">",
                "#",
                "%YAML 1.2",
                "---",
                "...",
                "?",
                "<<",
                "~",
                "\t",
                "@",
                "`",
                "\u2028",
                "\x85",
            ),
        ]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=SYNTAX)
def test_pieces_of_yaml_are_read_or_refused_with_words(text: str) -> None:
    check(text.encode(), Path("/nowhere"))
