"""YAML files with the place of every value, read strictly: unknown and repeated keys are faults.

Plain scalars mean what they mean in JSON (a number with leading zeros stays text, as national ids need; ``no`` is text).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from services.register.reading.faults import FaultList, Location, read_source

__all__ = ["YamlMapping", "YamlScalar", "read_document"]

T = TypeVar("T")
D = TypeVar("D")

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_DEPTH = 30


def read_document(path: Path, findings: FaultList, *, keys: tuple[str, ...] | None) -> YamlMapping | None:
    """Read the mapping a YAML file holds, an empty one for an empty file; None, with a fault, if there is none to be had.
    ``keys`` as for Block.block.
    """
    text = read_source(path, findings)
    if text is None:
        return None
    file = str(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        findings.add(place, f"not YAML: {error.problem or error.context}")
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        findings.add(Location(file, len(before), len(before[-1]) + 1), "not YAML: a control character")
        return None
    except RecursionError:
        findings.add(Location(file), "not YAML we can use: nested too deeply")
        return None
    if node is None:
        return YamlMapping(Location(file, 1, 1), {}, {}, findings)
    return _block(node, file, findings, keys, "the file")


@dataclass(frozen=True, slots=True)
class YamlScalar:
    """One text of a document, and where it stands; ``null`` when nothing is written."""

    text: str
    place: Location
    null: bool = False


@dataclass(frozen=True, slots=True)
class YamlMapping:
    """A mapping of a document: its values by key, where it begins, and where faults go."""

    place: Location
    nodes: Mapping[str, yaml.Node]
    keys: Mapping[str, Location]
    findings: FaultList

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    def is_block(self, key: str) -> bool:
        """Tell whether a mapping stands under ``key``."""
        return isinstance(self.nodes.get(key), yaml.MappingNode)

    def key_at(self, key: str) -> Location:
        """Where ``key`` itself stands; the block when it has no such key."""
        return self.keys.get(key, self.place)

    def at(self, key: str) -> Location:
        """Where the value of ``key`` begins; the block when it has no such key."""
        return _place(self.nodes[key], self.place.file) if key in self.nodes else self.place

    def fault(self, key: str, reason: str) -> None:
        """Record a fault of one value."""
        self.findings.add(self.at(key), f"{key}: {reason}")

    def scalar(self, key: str) -> YamlScalar | None:
        """Return the text under ``key``; None when it is not there, and, with a fault, when it is no text."""
        if key not in self.nodes:
            return None
        return _scalar(self.nodes[key], self.place.file, key, self.findings)

    def read(self, key: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the value; ``default`` when it is absent or null, and, with a fault, when it cannot be used."""
        scalar = self.scalar(key)
        if scalar is None or scalar.null:
            return default
        return self.findings.attempt(scalar.place, key, read, scalar.text, default)

    def need(self, key: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the value; an absent, null or empty one is a fault too."""
        if key not in self.nodes:
            self.findings.add(self.place, f"key `{key}` is missing")
            return default
        scalar = self.scalar(key)
        if scalar is not None and not scalar.text.strip():
            self.fault(key, "is empty")
            return default
        return self.read(key, read, default)

    def block(self, key: str, keys: tuple[str, ...] | None) -> YamlMapping | None:
        """Return the mapping under ``key``, which may hold only ``keys`` (None: any); None when there is none."""
        if key not in self.nodes:
            return None
        return _block(self.nodes[key], self.place.file, self.findings, keys, key)

    def blocks(self, key: str, keys: tuple[str, ...] | None) -> list[YamlMapping]:
        """Return the mappings in the list under ``key``."""
        blocks = (_block(node, self.place.file, self.findings, keys, key) for node in self._list(key))
        return [block for block in blocks if block is not None]

    def scalars(self, key: str) -> list[YamlScalar]:
        """Return the texts in the list under ``key``."""
        scalars = (_scalar(node, self.place.file, key, self.findings) for node in self._list(key))
        return [scalar for scalar in scalars if scalar is not None]

    def value(self, key: str) -> object:
        """Any JSON value under ``key``; None when absent."""
        if key not in self.nodes:
            return None
        try:
            return _value(self.nodes[key], _DEPTH)
        except ValueError as error:
            self.fault(key, str(error))
            return None

    def _list(self, key: str) -> list[yaml.Node]:
        node = self.nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fault(key, "is not a list")
            return []
        return list(node.value)


def _place(node: yaml.Node, file: str) -> Location:
    return Location(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _block(
    node: yaml.Node, file: str, findings: FaultList, keys: tuple[str, ...] | None, name: str
) -> YamlMapping | None:
    if not isinstance(node, yaml.MappingNode):
        findings.add(_place(node, file), f"{name}: is not a mapping of keys to values")
        return None
    nodes: dict[str, yaml.Node] = {}
    places: dict[str, Location] = {}
    for key, value in node.value:
        place = _place(key, file)
        if not isinstance(key, yaml.ScalarNode):
            findings.add(place, f"{name}: a key must be a text")
        elif keys is not None and key.value not in keys:
            findings.add(place, f"key `{key.value}` is unknown; known are {', '.join(keys)}")
        elif key.value in nodes:
            findings.add(place, f"key `{key.value}` is there twice")
        else:
            nodes[key.value] = value
            places[key.value] = place
    return YamlMapping(_place(node, file), nodes, places, findings)


def _scalar(node: yaml.Node, file: str, name: str, findings: FaultList) -> YamlScalar | None:
    place = _place(node, file)
    if not isinstance(node, yaml.ScalarNode):
        findings.add(place, f"{name}: is not a single value")
        return None
    if not _encodable(node.value):
        findings.add(place, f"{name}: holds half a character (a lone surrogate)")
        return None
    return YamlScalar(node.value, place, null=node.style is None and node.value in {"", "null", "~"})


def _value(node: yaml.Node, depth: int) -> object:
    if not depth:
        raise ValueError("is nested too deeply")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, depth - 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        found = {_key(key): _value(item, depth - 1) for key, item in node.value}
        if len(found) < len(node.value):
            raise ValueError("holds a key twice")
        return found
    text = str(node.value)
    if not _encodable(text):
        raise ValueError("holds half a character (a lone surrogate)")
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        if text in {"", "~", "null"}:
            return None
        if text in {"true", "false"} or _NUMBER.fullmatch(text):
            return json.loads(text)
    return text


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not _encodable(node.value):
        raise ValueError("holds a key that is no text")
    return str(node.value)


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
