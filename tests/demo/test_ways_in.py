"""The ways into the audit: the shares, the manifest, the deliveries and their signatures."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from examples.audit import deliveries, plan, signing, ways
from examples.audit.deliveries import FORGERIES, Kind
from examples.audit.modules import Module, Selection
from examples.audit.plan import Request
from examples.audit.ways import Way
from sidecar.cli.manifest import read


@pytest.mark.parametrize(
    ("modules", "webhooks", "scheduled"), [(0, 0, 0), (1, 0, 0), (12, 4, 2), (60, 10, 8), (891, 89, 8)]
)
def test_modules_are_shared_out(modules: int, webhooks: int, scheduled: int) -> None:
    everything = [Module(f"m{n}", Path()) for n in range(modules)]
    shared = list(ways.shared_out(everything))
    assert [module for module, _ in shared] == everything
    counts = Counter(way for _, way in shared)
    assert (counts[Way.WEBHOOK], counts[Way.SCHEDULE]) == (webhooks, scheduled)


def test_the_manifest_defines_what_the_demo_uses() -> None:
    wanted = read(str(ways.MANIFEST)).definitions
    by_kind = {str(each.WhichOneof("kind")): each for each in wanted}
    assert by_kind["webhook"].webhook.webhook_id == ways.HOOK
    assert by_kind["webhook"].webhook.path == ways.HOOK_PATH
    assert by_kind["webhook"].webhook.provider == ways.PROVIDER
    assert by_kind["webhook"].webhook.workflow_id == plan.WORKFLOW
    assert by_kind["webhook"].webhook.verification.secrets == [f"env:{ways.KEY_VARIABLE}"]
    assert by_kind["schedule"].schedule.schedule_id == by_kind["schedule"].schedule.workflow_id == ways.TALLY
    queues = {each.workflow.workflow_id: each.workflow.queue for each in wanted if each.HasField("workflow")}
    assert queues == {plan.WORKFLOW: "", ways.TALLY: ways.CLOCK}


@pytest.fixture
def requests(tmp_path: Path) -> list[Request]:
    everything = [Module(name, Path(f"/lib/{name}.py")) for name in plan.STAGED_MODULES.values()]
    chosen = tuple(Module(f"m.n{n}", Path(f"/lib/n{n}.py")) for n in range(24))
    return plan.requests(Selection(chosen, ""), everything, tmp_path)


def test_what_is_sent_is_genuine_or_forged_or_does_not_fit(requests: list[Request]) -> None:
    sent = deliveries.first(requests)
    hooked = [each for each in requests if each.way is Way.WEBHOOK]
    assert Counter(each.kind for each in sent) == {
        Kind.GENUINE: 8,
        **dict.fromkeys((*FORGERIES, Kind.MISFIT), 1),
    }
    assert [json.loads(each.body) for each in sent if each.kind is Kind.GENUINE] == [
        each.payload() for each in hooked
    ]
    assert len({each.delivery_id for each in sent}) == len(sent)
    again = list(deliveries.again(requests))
    assert [(each.delivery_id, each.body) for each in again] == [
        (each.delivery_id, each.body) for each in sent[: deliveries.AGAIN]
    ]


def test_only_what_is_forged_does_not_verify(requests: list[Request]) -> None:
    """WEB-1: held against the library of Standard Webhooks itself."""
    secret = signing.new_secret()
    library = Webhook(secret)
    verified = set()
    for delivery in deliveries.first(requests):
        headers = signing.headers(delivery, secret, int(datetime.now(UTC).timestamp()))
        try:
            library.verify(delivery.body, headers)
        except WebhookVerificationError:
            continue
        verified.add(delivery.kind)
    assert verified == {*Kind} - {*FORGERIES, Kind.AGAIN}
