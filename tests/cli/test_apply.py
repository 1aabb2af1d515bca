"""`sidecar apply`, `definitions`, `undefine` and `find` against a real sidecar."""

from pathlib import Path

import pytest

from sidecar.cli.exit_codes import ExitCode
from tests.cli.conftest import Command

pytestmark = pytest.mark.e2e

MANIFEST = """
namespace: {namespace}
workflows:
  - workflow_id: audit
    queue: fast
    json_schema: {{type: object, required: [file]}}
    retry: {{max_attempts: 3, initial_interval: 1s}}
    deadlines: {{attempt: 30s}}
    rate: {{limit: 100, per: 1m}}
    concurrency: {{limit: 4, per_key: 1, over_limit: wait}}
    tracing: {{live_parent: start, sampling: always}}
queues:
  - {{queue: fast, max_depth: 1000}}
webhooks:
  - webhook_id: pushed
    path: {namespace}/github
    workflow_id: audit
    provider: github
    verification: {{scheme: github, secrets: ["env:GITHUB_SECRET", do-not-tell-anybody]}}
    wait: 5s
schedules:
  - {{schedule_id: nightly, cron: "0 2 * * *", zone: Europe/Berlin, workflow_id: audit, payload: {{file: a}}}}
"""


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """Each test has its own."""
    return str(request.node.name).replace("[", "-").strip("]")


@pytest.fixture
def file(tmp_path: Path, namespace: str) -> Path:
    """A manifest with one of each kind."""
    path = tmp_path / "manifest.yaml"
    path.write_text(MANIFEST.format(namespace=namespace))
    return path


def changes(command: Command, *arguments: str) -> dict[str, str]:
    results = command("--json", "apply", *arguments).answer["results"]
    return {each["name"]: each["change"] for each in results}


def test_applying_twice_says_unchanged(sidecar_command: Command, file: Path) -> None:
    first = sidecar_command.process("apply", "--file", str(file))
    assert (first.code, first.err) == (ExitCode.OK, "")
    lines = [line.split() for line in first.out.splitlines()]
    assert ["workflow", "audit", "created"] in lines
    assert lines[-1] == ["4", "created"]
    assert set(changes(sidecar_command, "-f", str(file)).values()) == {"unchanged"}


def test_standard_input_is_a_file_as_well(sidecar_command: Command, file: Path) -> None:
    applied = sidecar_command.process("--json", "apply", "-f", "-", stdin=file.read_bytes())
    assert applied.code == ExitCode.OK
    assert {each["change"] for each in applied.answer["results"]} == {"created"}
    assert set(changes(sidecar_command, "-f", str(file)).values()) == {"unchanged"}


def test_a_dry_run_compares_and_prune_deletes(
    sidecar_command: Command, file: Path, namespace: str, tmp_path: Path
) -> None:
    changes(sidecar_command, "-f", str(file))
    less = tmp_path / "less.yaml"
    less.write_text(f"namespace: {namespace}\nqueues: [{{queue: fast, max_depth: 5}}]\n")
    expected = {"fast": "updated", "audit": "deleted", "pushed": "deleted", "nightly": "deleted"}
    dry = sidecar_command("apply", "-f", str(less), "--prune", "--dry-run")
    assert dry.out.splitlines()[-1].strip() == "1 updated, 3 deleted (dry run: nothing was changed)"
    assert changes(sidecar_command, "-f", str(less), "--prune") == expected
    listed = sidecar_command("--namespace", namespace, "--json", "definitions").answer
    assert [(each["kind"], each["name"]) for each in listed] == [("queue", "fast")]


def test_definitions_are_listed_without_their_secrets(
    sidecar_command: Command, file: Path, namespace: str
) -> None:
    changes(sidecar_command, "-f", str(file))
    shown = sidecar_command("--namespace", namespace, "definitions")
    rows = {line.split()[1]: line for line in shown.out.splitlines()[1:]}
    assert list(rows) == ["audit", "fast", "pushed", "nightly"]
    assert "100 in 60 s, 4 at once, 1 at once of each key" in rows["audit"]
    assert f"/hooks/{namespace}/github to audit" in rows["pushed"]
    assert "0 2 * * * (Europe/Berlin) to audit" in rows["nightly"]
    only = sidecar_command("--namespace", namespace, "--json", "definitions", "--kind", "webhook")
    (hook,) = only.answer
    assert hook["definition"]["verification"]["scheme"] == "VERIFICATION_SCHEME_GITHUB"
    for text in (shown.out, only.out):
        assert "do-not-tell" not in text
        assert "GITHUB_SECRET" not in text


def test_undefining_twice_is_a_success(sidecar_command: Command, file: Path, namespace: str) -> None:
    changes(sidecar_command, "-f", str(file))
    line = ("--namespace", namespace, "--json", "undefine", "webhook", "pushed")
    assert [sidecar_command(*line).answer["deleted"] for _ in range(2)] == [True, False]
    assert sidecar_command("undefine", "robot", "x").code == ExitCode.USAGE


def test_what_is_wrong_in_the_file_is_named_in_its_own_words(
    sidecar_command: Command, tmp_path: Path
) -> None:
    """Whether the command finds it or the sidecar does."""
    path = tmp_path / "bad.yaml"
    path.write_text("queues: [{queue: a}]\nworkflows: [{workflow_id: w, rate: {limit: 5}}]")
    refused = sidecar_command("--json", "apply", "-f", str(path))
    assert (refused.code, refused.problem["reason"]) == (ExitCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert refused.problem["message"].startswith("workflows[0].rate.per: is required")
    path.write_text("workflows: [{workflow_id: w, rate: {per: soon}}]")
    refused = sidecar_command("--json", "apply", "-f", str(path))
    assert (refused.code, refused.problem["reason"]) == (ExitCode.INVALID_ARGUMENT, "MANIFEST")
    assert refused.problem["message"].startswith("workflows[0].rate.per: must be a duration")
    absent = sidecar_command("apply", "-f", str(tmp_path / "absent.yaml"))
    assert (absent.code, absent.out) == (ExitCode.INVALID_ARGUMENT, "")
    assert "No such file" in absent.err
    assert sidecar_command("apply").code == ExitCode.USAGE


def test_a_path_of_somebody_else_is_refused(
    sidecar_command: Command, file: Path, namespace: str, tmp_path: Path
) -> None:
    changes(sidecar_command, "-f", str(file))
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace(f"namespace: {namespace}", "namespace: thief"))
    refused = sidecar_command("--json", "apply", "-f", str(other))
    assert (refused.code, refused.problem["reason"]) == (ExitCode.REFUSED, "DEFINITION_CONFLICT")
    assert sidecar_command("--namespace", "thief", "--json", "definitions").answer == []


def test_two_namespaces_are_one_too_many(sidecar_command: Command, file: Path) -> None:
    refused = sidecar_command("--namespace", "elsewhere", "--json", "apply", "-f", str(file))
    assert (refused.code, refused.problem["reason"]) == (ExitCode.INVALID_ARGUMENT, "MANIFEST")


def test_a_workflow_decides_what_an_enqueue_leaves_open(
    sidecar_command: Command, file: Path, namespace: str
) -> None:
    changes(sidecar_command, "-f", str(file))
    line = ("--namespace", namespace, "--json", "enqueue", "audit", "--concurrency-key", "t-1", "--payload")
    execution_id = sidecar_command(*line, '{"file": "a"}').answer["execution_id"]
    record = sidecar_command("--namespace", namespace, "--json", "get", execution_id).answer
    assert (record["queue"], record["concurrency_key"]) == ("fast", "t-1")
    refused = sidecar_command(*line, '{"name": "a"}')
    assert (refused.code, refused.problem["reason"]) == (ExitCode.INVALID_ARGUMENT, "PAYLOAD_INVALID")
    assert refused.problem["execution"]["error"]["type"] == "preprocessing.payload_invalid"


def test_an_execution_is_found_by_any_id(sidecar_command: Command, namespace: str) -> None:
    """COR-5."""
    here = ("--namespace", namespace, "--json")
    enqueue = ("enqueue", "nobody", "--queue", "idle")
    first = sidecar_command(*here, *enqueue, "--request-id", "r-1", "--key", "k-1").answer
    second = sidecar_command(*here, *enqueue, "--request-id", "r-1").answer
    mine = [first["execution_id"]]
    for known, expected in (
        (first["execution_id"], mine),
        ("k-1", mine),
        (first["trace_id"], mine),
        ("r-1", [second["execution_id"], *mine]),
    ):
        found = sidecar_command(*here, "find", known)
        assert (found.code, [each["execution_id"] for each in found.answer]) == (ExitCode.OK, expected)
    assert [
        each["execution_id"] for each in sidecar_command(*here, "find", "r-1", "--limit", "1").answer
    ] == [second["execution_id"]]
    missing = sidecar_command(*here, "find", "r-2")
    assert (missing.code, missing.problem["reason"]) == (ExitCode.NOT_FOUND, "EXECUTION_NOT_FOUND")


def test_a_list_narrows_by_ids(sidecar_command: Command, namespace: str) -> None:
    here = ("--namespace", namespace, "--json")
    ids = [
        sidecar_command(
            *here, "enqueue", "nobody", "--queue", "idle", "--request-id", f"r-{n}", "--key", f"k-{n}"
        )
        for n in range(2)
    ]
    for option, value in (
        ("--request-id", "r-1"),
        ("--key", "k-1"),
        ("--trace-id", ids[1].answer["trace_id"]),
    ):
        found = sidecar_command(*here, "list", option, value).answer
        assert [each["execution_id"] for each in found] == [ids[1].answer["execution_id"]]
    for option in ("--external-id", "--schedule", "--webhook"):
        assert sidecar_command(*here, "list", option, "none").answer == []
