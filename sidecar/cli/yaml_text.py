"""YAML as manifests use it: the JSON part of it, bounded, and nothing that reads otherwise than it looks.

Only `true` and `false` are truth values, only decimal digits are numbers, and times stay texts. There are
no aliases, no tags and no keys that come twice.
"""

import re
from typing import Any, NoReturn

import yaml

MAX_BYTES = 1_048_576
MAX_DEPTH = 50

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30}([eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})")
_HALF = re.compile(r"[\ud800-\udfff]")
_NO_TAG = ""


class YamlError(Exception):
    """A text that cannot be read; the message says where and why, and shows no value: it may be secret."""


def parse(data: bytes) -> object:
    """Return what a YAML document says, as mappings with text keys, lists and scalars.

    Raises:
        YamlError: if it cannot be read.
    """
    if len(data) > MAX_BYTES:
        raise YamlError(f"has {len(data)} bytes, over the limit of {MAX_BYTES}; divide it")
    try:
        node = _Composer(data.decode()).get_single_node()
    except UnicodeDecodeError as error:
        raise YamlError(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"{_place(error.problem_mark)}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0]) from None
    except RecursionError:
        raise YamlError("is nested too deeply") from None
    return None if node is None else _Reading().value(node)


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _wrong(node: yaml.Node, problem: str) -> NoReturn:
    raise YamlError(_place(node.start_mark) + problem)


class _Composer(yaml.BaseLoader):
    """Makes nodes in which a tag was written down, or is empty."""

    def resolve(self, *_: object) -> str:
        return _NO_TAG


class _Reading:
    """From nodes to values. A node that is met twice stands behind an alias."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, depth: int = 0) -> object:
        if id(node) in self._seen:
            _wrong(node, "aliases are not supported: write out what this stands for")
        self._seen.add(id(node))
        if depth >= MAX_DEPTH:
            _wrong(node, f"nested more than {MAX_DEPTH} levels deep")
        if node.tag != _NO_TAG:
            _wrong(node, "tags are not supported: leave it out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        text = str(node.value)
        if _HALF.search(text):
            _wrong(node, "half a surrogate pair is no text")
        return text if getattr(node, "style", None) else _scalar(text)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, depth + 1)
            if not isinstance(key, str):
                _wrong(key_node, "a key must be text: put it in quotes")
            if key in found:
                _wrong(key_node, f"the key {key[:80]!r} is there twice")
            found[key] = self.value(value_node, depth + 1)
        return found


def _scalar(text: str) -> object:
    """Return what a text without quotes stands for."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
