"""The registry over the API: definitions stand as given, all or none, once, and hold at once."""

import threading
import uuid
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import registry_service_pb2 as registry
from sidecar.v1 import schedule_service_pb2 as schedules
from tests.conformance import full_definitions as full
from tests.conftest import StartSidecar
from tests.services.loopback import await_condition
from tests.wire import PATIENCE, Wire, refused

CREATED, UPDATED, UNCHANGED, DELETED = (
    registry.DEFINITION_CHANGE_CREATED,
    registry.DEFINITION_CHANGE_UPDATED,
    registry.DEFINITION_CHANGE_UNCHANGED,
    registry.DEFINITION_CHANGE_DELETED,
)
HOOK_ID = "hook"


def new_path() -> str:
    """Return a path that no other test has: paths are unique over all namespaces."""
    return f"p/{uuid.uuid4()}"


def hook(path: str, webhook_id: str = HOOK_ID) -> defs.Webhook:
    return defs.Webhook(webhook_id=webhook_id, path=path, workflow_id="audit")


def apply(wire: Wire, *parts: defs.Definition, **fields: bool) -> list[registry.DefinitionResult]:
    request = registry.ApplyDefinitionsRequest(namespace=wire.namespace, definitions=parts, **fields)
    return list(wire.registry.ApplyDefinitions(request, timeout=PATIENCE).results)


def changes(results: list[registry.DefinitionResult]) -> dict[str, int]:
    return {result.name: result.change for result in results}


def listed(wire: Wire, *kinds: registry.DefinitionKind.ValueType) -> list[registry.StoredDefinition]:
    request = registry.ListDefinitionsRequest(namespace=wire.namespace, kinds=kinds)
    return list(wire.registry.ListDefinitions(request, timeout=PATIENCE).definitions)


def delete(wire: Wire, kind: registry.DefinitionKind.ValueType, name: str) -> bool:
    request = registry.DeleteDefinitionRequest(namespace=wire.namespace, kind=kind, name=name)
    return wire.registry.DeleteDefinition(request, timeout=PATIENCE).deleted


@pytest.fixture
def other(wire: Wire) -> Iterator[Wire]:
    """Another namespace of the same sidecar."""
    other = Wire(wire.target, f"ns-{uuid.uuid4()}")
    yield other
    other.close()


def test_what_is_applied_is_told_as_it_was_given_but_for_secrets(wire: Wire) -> None:
    hook = full.webhook(new_path())
    assert set(changes(wire.define(full.WORKFLOW, full.QUEUE, hook, full.SCHEDULE)).values()) == {CREATED}
    del hook.verification.secrets[:]
    found = listed(wire)
    assert [each.definition for each in found] == [
        defs.Definition(workflow=full.WORKFLOW),
        defs.Definition(queue=full.QUEUE),
        defs.Definition(webhook=hook),
        defs.Definition(schedule=full.SCHEDULE),
    ]
    assert all(each.HasField("changed_at") for each in found)
    assert full.SECRET.encode() not in b"".join(each.SerializeToString() for each in found)


def test_a_kind_alone_is_listed(wire: Wire) -> None:
    wire.define(full.WORKFLOW, full.QUEUE)
    only = listed(wire, registry.DEFINITION_KIND_QUEUE)
    assert [each.definition.queue.queue for each in only] == ["fast"]


def test_applying_again_changes_nothing(wire: Wire) -> None:
    hook = full.webhook(new_path())
    wire.define(full.WORKFLOW, full.QUEUE, hook, full.SCHEDULE)
    before = listed(wire)
    assert set(changes(wire.define(full.WORKFLOW, full.QUEUE, hook, full.SCHEDULE)).values()) == {UNCHANGED}
    assert listed(wire) == before


def test_what_has_changed_is_told_and_nothing_else(wire: Wire) -> None:
    wire.define(full.WORKFLOW, full.QUEUE)
    was = {each.definition.WhichOneof("kind"): each.changed_at for each in listed(wire)}
    queue = defs.Queue(queue="fast", max_depth=8)
    assert changes(wire.define(defs.Workflow(workflow_id="new"), queue, full.WORKFLOW)) == {
        "new": CREATED,
        "fast": UPDATED,
        "audit": UNCHANGED,
    }
    found = {each.definition.WhichOneof("kind"): each for each in listed(wire)}
    assert found["queue"].definition.queue == queue
    assert found["queue"].changed_at.ToNanoseconds() > was["queue"].ToNanoseconds()


def test_one_that_is_wrong_keeps_all_others_out(wire: Wire) -> None:
    with refused("INVALID_ARGUMENT", code_pb2.INVALID_ARGUMENT) as told:
        wire.define(full.QUEUE, defs.Workflow(workflow_id="w", rate=defs.RateLimit(limit=1)))
    assert told.metadata["field"] == "definitions[1].workflow.rate.per"
    assert listed(wire) == []


def test_a_secret_is_not_in_what_a_refusal_says(wire: Wire) -> None:
    hook = full.webhook(new_path())
    hook.verification.secrets.append("short")
    with refused("INVALID_ARGUMENT", code_pb2.INVALID_ARGUMENT) as told:
        wire.define(hook)
    assert "number 4" in told.message
    assert "short" not in told.message.replace("is shorter", "")
    assert full.SECRET not in told.message


def test_pruning_deletes_what_is_not_named(wire: Wire, other: Wire) -> None:
    for each in (wire, other):
        each.define(full.WORKFLOW, full.QUEUE, full.SCHEDULE)
    results = wire.define(full.QUEUE, prune=True)
    assert changes(results) == {"fast": UNCHANGED, "audit": DELETED, "nightly": DELETED}
    assert [each.definition.queue.queue for each in listed(wire)] == ["fast"]
    assert changes(apply(wire, prune=True)) == {"fast": DELETED}
    assert len(listed(other)) == 3


def test_a_dry_run_says_what_it_would_do_and_does_nothing(wire: Wire) -> None:
    wire.define(full.QUEUE)
    wanted = defs.Definition(workflow=full.WORKFLOW)
    results = apply(wire, wanted, prune=True, dry_run=True)
    assert changes(results) == {"audit": CREATED, "fast": DELETED}
    assert [each.definition.queue.queue for each in listed(wire)] == ["fast"]


def test_deleting_twice_is_a_success(wire: Wire) -> None:
    wire.define(full.QUEUE)
    assert delete(wire, registry.DEFINITION_KIND_QUEUE, "fast")
    assert not delete(wire, registry.DEFINITION_KIND_QUEUE, "fast")
    assert not delete(wire, registry.DEFINITION_KIND_WORKFLOW, "nobody")
    assert listed(wire) == []


def test_a_path_belongs_to_one_webhook_of_all_namespaces(wire: Wire, other: Wire) -> None:
    path = new_path()
    wire.define(hook(path))
    for claimant, webhook_id in ((other, HOOK_ID), (wire, "second")):
        with refused("DEFINITION_CONFLICT", code_pb2.ALREADY_EXISTS) as told:
            claimant.define(full.QUEUE, hook(path, webhook_id))
        assert told.metadata == {"webhook_id": webhook_id, "path": path}
    assert (len(listed(wire)), listed(other)) == (1, [])
    delete(wire, registry.DEFINITION_KIND_WEBHOOK, HOOK_ID)
    assert changes(other.define(hook(path))) == {HOOK_ID: CREATED}


def test_paths_change_hands_within_one_apply(wire: Wire) -> None:
    one, two = new_path(), new_path()
    wire.define(hook(one, "a"), hook(two, "b"))
    assert changes(wire.define(hook(two, "a"), hook(one, "b"))) == {"a": UPDATED, "b": UPDATED}
    assert changes(wire.define(hook(two, "c"), prune=True)) == {"c": CREATED, "a": DELETED, "b": DELETED}


def test_of_many_who_want_a_path_at_once_one_gets_it(wire: Wire) -> None:
    """All or nothing: who loses the path has its queue neither."""
    path = new_path()
    claimants = [Wire(wire.target, f"ns-{uuid.uuid4()}") for _ in range(16)]
    refusals: list[grpc.RpcError] = []

    def claim(claimant: Wire) -> None:
        try:
            claimant.define(hook(path), full.QUEUE)
        except grpc.RpcError as error:
            refusals.append(error)

    threads = [threading.Thread(target=claim, args=(each,)) for each in claimants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {error.code() for error in refusals} == {grpc.StatusCode.ALREADY_EXISTS}
    assert sorted(len(listed(each)) for each in claimants) == [0] * 15 + [2]
    for each in claimants:
        each.close()


def test_a_definition_holds_with_the_answer_of_its_apply(wire: Wire) -> None:
    """ADM-1: the workflow is enabled."""
    wire.define(defs.Workflow(workflow_id="audit", disabled=True))
    with refused("WORKFLOW_DISABLED", code_pb2.FAILED_PRECONDITION):
        wire.enqueue()
    wire.define(defs.Workflow(workflow_id="audit"))
    assert wire.enqueue().execution.correlation.execution_id
    wire.define(defs.Workflow(workflow_id="audit", disabled=True))
    assert delete(wire, registry.DEFINITION_KIND_WORKFLOW, "audit")
    assert wire.enqueue().execution.correlation.execution_id


def test_a_namespace_can_require_registration(start_sidecar: StartSidecar) -> None:
    """ADM-1: the workflow is known, if the namespace requires it."""
    house = start_sidecar(SIDECAR_REQUIRE_REGISTRATION="strict, stern")
    house.start()
    strict, free = Wire(house.target, "strict"), Wire(house.target, "free")
    assert free.enqueue().execution.state
    with refused("WORKFLOW_UNKNOWN", code_pb2.NOT_FOUND):
        strict.enqueue()
    strict.define(defs.Workflow(workflow_id="audit"))
    assert strict.enqueue().execution.state
    with refused("WORKFLOW_UNKNOWN", code_pb2.NOT_FOUND):
        strict.enqueue(workflow_id="audits")


def test_everywhere_can_require_registration(start_sidecar: StartSidecar) -> None:
    house = start_sidecar(SIDECAR_REQUIRE_REGISTRATION="*")
    house.start()
    with refused("WORKFLOW_UNKNOWN", code_pb2.NOT_FOUND):
        Wire(house.target, "any").enqueue()


def test_definitions_outlive_the_sidecar(start_sidecar: StartSidecar) -> None:
    """Invariant 3: what was answered is on disk, and holds before the first call is served."""
    house = start_sidecar()
    house.start()
    wire = Wire(house.target, "default")
    wire.define(defs.Workflow(workflow_id="audit", disabled=True), full.QUEUE)
    house.kill()
    house.start()
    again = Wire(house.target, "default")
    with refused("WORKFLOW_DISABLED", code_pb2.FAILED_PRECONDITION):
        again.enqueue()
    assert len(listed(again)) == 2


def test_sidecars_on_one_store_learn_from_each_other(start_sidecar: StartSidecar) -> None:
    """What one defines the others hold to within a look, and so what it deletes."""
    here = start_sidecar()
    if here.store.startswith("sqlite"):
        pytest.skip("one sidecar has a SQLite store to itself")
    here.start()
    there = start_sidecar()
    there.store = here.store
    there.start()
    mine, theirs = Wire(here.target, "default"), Wire(there.target, "default")
    mine.define(defs.Workflow(workflow_id="audit", disabled=True), defs.Queue(queue="q"))
    await_condition(lambda: is_refused(theirs), "the other sidecar has heard of it", PATIENCE)
    assert delete(mine, registry.DEFINITION_KIND_WORKFLOW, "audit")
    await_condition(lambda: not is_refused(theirs), "the other sidecar has heard of its end", PATIENCE)
    assert changes(theirs.define(defs.Queue(queue="q"))) == {"q": UNCHANGED}


def is_refused(wire: Wire) -> bool:
    try:
        wire.enqueue()
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.FAILED_PRECONDITION
    return False


def test_a_schedule_that_has_passed_can_be_applied_again(wire: Wire) -> None:
    once = defs.Schedule(schedule_id="once", workflow_id="audit")
    once.once.FromSeconds(1_600_000_000)
    assert changes(wire.define(once)) == {"once": CREATED}
    assert changes(wire.define(once)) == {"once": UNCHANGED}
    every = defs.Schedule(schedule_id="once", workflow_id="audit", every=Duration(seconds=86_400))
    assert changes(wire.define(every)) == {"once": UPDATED}


def standings(wire: Wire) -> list[schedules.ScheduleStatus]:
    request = schedules.ListSchedulesRequest(namespace=wire.namespace, occurrences=1)
    return list(wire.schedules.ListSchedules(request, timeout=PATIENCE).schedules)


def test_a_schedule_stands_from_its_definition_to_its_deletion(wire: Wire) -> None:
    """Its standing comes, begins anew with another timetable, and goes in the commit of its definition."""
    daily = defs.Schedule(schedule_id="s", workflow_id="audit", cron="0 2 * * *", zone="UTC")
    wire.define(daily)
    (status,) = standings(wire)
    assert status.next_occurrences[0].seconds % 86_400 == 7_200
    wire.schedules.PauseSchedule(
        schedules.PauseScheduleRequest(namespace=wire.namespace, schedule_id="s"), timeout=PATIENCE
    )
    later = defs.Schedule(schedule_id="s", workflow_id="audit", cron="0 3 * * *", zone="UTC")
    assert changes(wire.define(later)) == {"s": UPDATED}
    assert standings(wire)[0].paused
    for prune in (True, False):
        if prune:
            wire.define(prune=True)
        else:
            delete(wire, registry.DEFINITION_KIND_SCHEDULE, "s")
        assert standings(wire) == []
        wire.define(later)
        (status,) = standings(wire)
        assert (status.paused, status.next_occurrences[0].seconds % 86_400) == (False, 10_800)
