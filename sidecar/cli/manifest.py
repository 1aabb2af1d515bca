"""The manifest: a YAML file that says what is to be defined, read into the API's own messages."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from sidecar.cli.manifest_fields import contents, specials
from sidecar.cli.message_fields import MAX_PROBLEMS, Filler
from sidecar.cli.yaml_text import MAX_BYTES, YamlError, parse
from sidecar.client.channel import DEFAULT_NAMESPACE
from sidecar.v1.definitions_pb2 import Definition

KINDS = {"workflows": "workflow", "queues": "queue", "webhooks": "webhook", "schedules": "schedule"}
"""The lists of a manifest, and what each of their entries is."""

_IN_REQUEST = re.compile(r"definitions\[(\d+)\](\.(workflow|queue|webhook|schedule)\b)?")


class ManifestError(Exception):
    """A manifest that cannot be applied; the message names each place, what it held and what it may hold."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is to be defined, and where in the file each of it stands."""

    namespace: str
    definitions: tuple[Definition, ...]
    places: tuple[str, ...]

    def in_its_words(self, message: str) -> str:
        """Return a message of the API with `definitions[3].workflow` as the place in the file."""
        return _IN_REQUEST.sub(self._place, message)

    def check_namespace(self, given: str) -> None:
        """Refuse a namespace that is another one than that of the file.

        Raises:
            ManifestError: naming both.
        """
        if self.namespace and given not in (DEFAULT_NAMESPACE, self.namespace):
            raise ManifestError(f"namespace: is {self.namespace!r}, but --namespace is {given!r}")

    def _place(self, found: re.Match[str]) -> str:
        index = int(found[1])
        return self.places[index] if index < len(self.places) else found[0]


def read(name: str) -> Manifest:
    """Return the manifest in a file, or on standard input for `-`.

    Raises:
        ManifestError: if it cannot be read, with all that is wrong.
    """
    if name == "-":
        return manifest(sys.stdin.buffer.read(MAX_BYTES + 1), Path())
    try:
        return manifest(contents(Path(name)), Path(name).parent)
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror or error}") from None


def manifest(data: bytes, folder: Path) -> Manifest:
    """Return what a text says; files that it names are looked for in `folder`.

    Raises:
        ManifestError: with all that is wrong.
    """
    try:
        document = parse(data)
    except YamlError as error:
        raise ManifestError(str(error)) from None
    if not isinstance(document, dict):
        raise ManifestError(f"must be a YAML mapping with {', '.join(KINDS)}")
    filler = Filler(specials(folder))
    namespace = document.pop("namespace", None) or ""
    if not isinstance(namespace, str):
        filler.problems.note("namespace", "must be text; put it in quotes", namespace)
    placed = list(_definitions(document, filler))
    if not placed and not filler.problems.found:
        raise ManifestError(f"defines nothing; fill {', '.join(KINDS)}")
    _give_up(filler.problems.found)
    definitions, places = (tuple(d for _, d in placed), tuple(place for place, _ in placed))
    return Manifest(str(namespace), definitions, places)


def _give_up(problems: list[str]) -> None:
    if problems:
        more = [f"... and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
        raise ManifestError("\n".join([*problems[:MAX_PROBLEMS], *more]))


def _definitions(document: dict[str, object], filler: Filler) -> Iterator[tuple[str, Definition]]:
    for name, entries in document.items():
        kind = KINDS.get(name)
        if kind is None:
            filler.problems.note(name, f"is not known; there are: namespace, {', '.join(KINDS)}", entries)
        elif not isinstance(entries, list):
            if entries is not None:
                filler.problems.note(name, "must be a list", entries)
        else:
            for index, fields in enumerate(entries):
                definition = Definition()
                part: Message = getattr(definition, kind)
                part.SetInParent()
                filler.fill(part, fields, f"{name}[{index}]")
                yield f"{name}[{index}]", definition
