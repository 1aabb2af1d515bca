"""A webhook's verification as it is written: secrets may stand elsewhere, and none is told."""

import pytest

from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers.defined import defined_problem


@pytest.mark.parametrize("secret", ["env:HOOK_SECRET", "file:/run/secrets/hook", "long enough"])
@pytest.mark.parametrize("scheme", [Scheme.GITHUB, Scheme.BEARER, Scheme.STANDARD])
def test_a_reference_stands_for_any_secret(scheme: Scheme, secret: str) -> None:
    problem = defined_problem(Verification(scheme, (secret,)))
    literal = secret == "long enough"
    assert (problem is None) == (not literal or scheme is Scheme.GITHUB)


@pytest.mark.parametrize(
    ("verification", "said"),
    [
        (Verification(Scheme.GITHUB), "secrets: there is none"),
        (Verification(Scheme.GITHUB, ("env:A", "short")), "secrets: number 2 is shorter"),
        (Verification(Scheme.GITHUB, ("env:", "env:A")), "secrets: number 1 is no reference"),
        (Verification(Scheme.GITHUB, ("env:A B",)), "secrets: number 1 is no reference"),
        (Verification(Scheme.GITHUB, ("file:hook",)), "secrets: number 1 is no reference"),
        (Verification(Scheme.HMAC, ("env:A",)), "header: "),
        (Verification(Scheme.NONE, ("env:A",)), "scheme: "),
    ],
)
def test_what_is_wrong_is_told_by_field_and_number(verification: Verification, said: str) -> None:
    problem = defined_problem(verification)
    assert problem is not None
    assert problem.startswith(said)


def test_secrets_are_in_no_representation() -> None:
    """What logs and tracebacks would show."""
    assert "t0ps3cret" not in repr(Verification(Scheme.GITHUB, ("t0ps3cret",)))
