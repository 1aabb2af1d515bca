"""Manifests: every field of the API by its own name, and every mistake by its place, never with a secret."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from sidecar.cli.manifest import KINDS, Manifest, ManifestError, manifest, read
from sidecar.cli.yaml_text import MAX_BYTES, YamlError, parse
from sidecar.v1 import definitions_pb2 as defs
from tests.conformance import full_definitions as full

HERE = Path()
SECRET = "t0ps3cret"


def said(text: str | bytes, folder: Path = HERE) -> str:
    """Return what is wrong with a manifest."""
    with pytest.raises(ManifestError) as error:
        manifest(text if isinstance(text, bytes) else text.encode(), folder)
    return str(error.value)


def read_text(text: str, folder: Path = HERE) -> Manifest:
    return manifest(text.encode(), folder)


def written(message: Message) -> dict[str, Any]:
    """Return a message as a manifest would have it."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    for described, value in message.ListFields():
        if described.enum_type is not None:
            prefix = described.enum_type.values[0].name.removesuffix("UNSPECIFIED")
            words = [described.enum_type.values_by_number[n].name for n in _many(value)]
            short = [word.removeprefix(prefix).lower() for word in words]
            found[described.name] = short if described.is_repeated else short[0]
        elif described.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
            found[described.name] = value
        elif isinstance(value, Message) and isinstance(found[described.name], dict):
            found[described.name] = written(value)
    return found


def _many(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def test_every_field_of_every_kind_can_be_written() -> None:
    """A new field of the API is a field of manifests at once."""
    hook, schedule = written(full.webhook("a/b")), written(full.SCHEDULE)
    workflow = written(full.WORKFLOW)
    for each in (workflow, hook):
        each["enabled"] = not each.pop("disabled")
    schedule["payload"] = "text"
    document = {
        "namespace": "night",
        "workflows": [workflow],
        "queues": [written(full.QUEUE)],
        "webhooks": [hook],
        "schedules": [schedule],
    }
    found = read_text(yaml.safe_dump(document, sort_keys=False))
    as_given = defs.Schedule()
    as_given.CopyFrom(full.SCHEDULE)
    as_given.payload = b"text"
    assert found.namespace == "night"
    assert found.definitions == (
        defs.Definition(workflow=full.WORKFLOW),
        defs.Definition(queue=full.QUEUE),
        defs.Definition(webhook=full.webhook("a/b")),
        defs.Definition(schedule=as_given),
    )
    assert found.places == ("workflows[0]", "queues[0]", "webhooks[0]", "schedules[0]")


def test_every_kind_of_definition_has_its_list() -> None:
    assert sorted(KINDS.values()) == sorted(defs.Definition.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    ("written", "payload", "content_type"),
    [
        ("{a: [1, true, null, 1.5]}", b'{"a":[1,true,null,1.5]}', "application/json"),
        ("[1, 2]", b"[1,2]", "application/json"),
        ("5", b"5", "application/json"),
        ('"{\\"a\\": 1}"', b'{"a": 1}', "application/json"),
        ("good night", b"good night", "text/plain; charset=utf-8"),
        ("2026-01-01", b"2026-01-01", "text/plain; charset=utf-8"),
        ("no", b"no", "text/plain; charset=utf-8"),
    ],
)
def test_a_payload_is_json_or_text(written: str, payload: bytes, content_type: str) -> None:
    found = read_text(f"schedules: [{{schedule_id: s, payload: {written}}}]").definitions[0].schedule
    assert (found.payload, found.content_type) == (payload, content_type)


def test_a_schema_stands_inline_as_text_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    texts = [
        read_text(f"workflows: [{{workflow_id: w, {how}}}]", tmp_path).definitions[0].workflow.json_schema
        for how in ("json_schema: {type: object}", "json_schema: '{}'", "json_schema_file: schema.json")
    ]
    assert texts == ['{"type":"object"}', "{}", '{"type": "object"}']
    both = "workflows: [{workflow_id: w, json_schema: {}, json_schema_file: schema.json}]"
    assert "json_schema_file: give json_schema or json_schema_file, not both" in said(both, tmp_path)
    absent = "workflows: [{workflow_id: w, json_schema_file: absent.json}]"
    assert "workflows[0].json_schema_file: cannot be read: No such file" in said(absent, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be a YAML mapping with workflows, queues, webhooks, schedules"),
        ("- a", "must be a YAML mapping"),
        ("namespace: x", "defines nothing"),
        ("queues:", "defines nothing"),
        ("flows: []", "flows: is not known; there are: namespace, workflows, queues, webhooks, schedules"),
        ("namespace: 5\nqueues: [{queue: q}]", "namespace: must be text; put it in quotes (got 5)"),
        ("queues: {queue: q}", "queues: must be a list (got fields)"),
        (
            "queues: [q]",
            "queues[0]: must have fields: concurrency, description, max_depth, queue, rate, tracing",
        ),
        ("queues: [{queu: q}]", "queues[0].queu: is not a field; did you mean queue? (got 'q')"),
        ("queues: [{x: q}]", "queues[0].x: is not a field; there are: concurrency"),
        ("queues: [{queue: 7}]", "queues[0].queue: must be text; put it in quotes (got 7)"),
        ("queues: [{max_depth: -1}]", "queues[0].max_depth: must be a whole number from 0 to"),
        ("queues: [{max_depth: 1.5}]", "queues[0].max_depth: must be a whole number"),
        ("queues: [{max_depth: true}]", "queues[0].max_depth: must be a whole number"),
        ("queues: [{rate: {per: soon}}]", "queues[0].rate.per: must be a duration such as 500ms, 30s"),
        ("queues: [{rate: {per: true}}]", "queues[0].rate.per: must be a duration"),
        ("queues: [{rate: 5}]", "queues[0].rate: must have fields: burst, limit, per (got 5)"),
        ("queues: [{tracing: {sampling: ALWAYS}}]", "tracing.sampling: must be one of inherit, always"),
        ("workflows: [{sources: webhook}]", "workflows[0].sources: must be a list (got 'webhook')"),
        (
            "workflows: [{sources: [hook]}]",
            "workflows[0].sources[0]: must be one of workflow, schedule, webhook",
        ),
        ("workflows: [{enabled: yes}]", "workflows[0].enabled: must be true or false (got 'yes')"),
        ("workflows: [{disabled: true}]", "workflows[0].disabled: is not a field; write enabled: false"),
        ("workflows: [{retry: {multiplier: big}}]", "workflows[0].retry.multiplier: must be a number"),
        ("workflows: [{json_schema: 5}]", "workflows[0].json_schema: must be a JSON Schema"),
        ("schedules: [{once: 2026-01-01}]", "schedules[0].once: must be a time with its zone"),
        ("schedules: [{cron: '* * * * *', every: 1s}]", "schedules[0].every: cannot be given together"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_may_stand_there(text: str, problem: str) -> None:
    assert problem in said(text)


def test_all_mistakes_are_told_at_once_up_to_a_bound() -> None:
    lines = said("queues: [" + "{queue: 1}, " * 30 + "]").splitlines()
    assert lines[1].startswith("queues[1].queue: must be text")
    assert (len(lines), lines[-1]) == (21, "... and 10 more")


@pytest.mark.parametrize(
    "hook",
    [
        f"{{verification: {{scheme: github, secrets: {SECRET}}}}}",
        f"{{verification: {{scheme: github, secrets: [5, {SECRET}, [{SECRET}]]}}}}",
        f"{{verification: {{secret: {SECRET}}}}}",
        f"{{verification: {SECRET}}}",
        f"{{secret: {SECRET}}}",
        f"{{verification: {{secrets: [{SECRET}], secrets: [{SECRET}]}}}}",
        f"{{verification: {{secrets: [&a {SECRET}, *a]}}}}",
        f"{{verification: {{secrets: [!x {SECRET}]}}}}",
        f"{{verification: {{secrets: [{SECRET}",
        f'{{verification: {{secrets: ["{SECRET}\\q"]}}}}',
        f"{{verification: {{secrets: [\t{SECRET}: {{]}}}}",
    ],
)
def test_no_mistake_tells_a_secret(hook: str) -> None:
    assert SECRET not in said(f"webhooks: [{hook}]")
    assert SECRET not in said(f"webhooks: {hook}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1\nb: *x", "aliases are not supported"),
        ("a: &x [1, *x]", "aliases are not supported"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is there twice"),
        ("1: a", "line 1, column 1: a key must be text"),
        ("a: !!python/name:os.system x", "line 1, column 4: tags are not supported"),
        ("a: !!str 5", "tags are not supported"),
        ("a\n---\nb", "another document"),
        ("[" * 100 + "]" * 100, "nested more than 50 levels deep"),
        ("[" * 5_000 + "]" * 5_000, "nested too deeply"),
        ("a: [", "line 1, column 5"),
        ("a: \x07", "unacceptable character"),
        ('a: "\\ud800"', "half a surrogate pair is no text"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "over the limit"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(YamlError, match=re.escape(problem)):
        parse(text if isinstance(text, bytes) else text.encode())


def test_aliases_make_no_bomb() -> None:
    levels = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    with pytest.raises(YamlError, match="aliases are not supported"):
        parse("\n".join(levels).encode())


def test_nothing_reads_otherwise_than_it_looks() -> None:
    """YAML 1.1 has booleans, numbers and times that nobody sees."""
    text = "[no, off, y, 010, 1:30, 1_000, 2026-01-01, .inf, 0x1f, 1e3, -2, 1.5, True, ~, 'true']"
    assert parse(text.encode()) == [
        *("no", "off", "y", "010", "1:30", "1_000", "2026-01-01", ".inf", "0x1f"),
        *(1000.0, -2, 1.5, True, None, "true"),
    ]


def test_a_refusal_of_the_api_names_the_place_in_the_file() -> None:
    found = read_text("queues: [{queue: a}]\nworkflows: [{workflow_id: b}, {workflow_id: c}]")
    told = found.in_its_words(
        "definitions[2].workflow.rate.per: is required; definitions[0]: again; definitions[9]"
    )
    assert told == "workflows[1].rate.per: is required; queues[0]: again; definitions[9]"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name, reason in (("absent.yaml", "No such file"), (".", "Is a directory")):
        with pytest.raises(ManifestError, match=reason):
            read(str(tmp_path / name))
