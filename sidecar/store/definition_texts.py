"""Definitions as text: JSON that keeps every field, so that a later default changes no stored meaning."""

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.definitions import Definition, Kind, Queue, Schedule, Webhook, Workflow, kind_of
from sidecar.store.engine import UnusableStoreError


class UnreadableDefinitionError(UnusableStoreError):
    """A stored definition that this version cannot read."""


class _Body(BaseModel):
    """The one definition that a row holds, under the name of its kind."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    workflow: Workflow | None = None
    queue: Queue | None = None
    webhook: Webhook | None = None
    schedule: Schedule | None = None


def definition_text(definition: Definition) -> str:
    """Return a definition as JSON."""
    return _Body.model_validate({kind_of(definition): definition}).model_dump_json(exclude_unset=True)


def definition_from(kind: str, text: str) -> Definition:
    """Return the definition that a text holds. Fields that this version does not know are left out.

    Raises:
        UnreadableDefinitionError: if it cannot be read.
    """
    try:
        body = _Body.model_validate_json(text)
        found: Definition | None = getattr(body, Kind(kind))
    except ValidationError as error:
        # Not what the text holds: that may be a secret.
        said = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, said["loc"]))
        raise UnreadableDefinitionError(f"{where}: {said['msg']}") from None
    except ValueError:
        raise UnreadableDefinitionError(f"{kind!r} is no kind that is known") from None
    if found is None:
        raise UnreadableDefinitionError(f"it holds no {kind}")
    return found
