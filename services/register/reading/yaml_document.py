"""Reads YAML files strictly, with the location of every value: unknown and repeated keys are faults.

Plain scalars mean what they mean in JSON: ``no`` is text, and so is a number with leading zeros, such as a national id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from services.register.faults import FaultList, Location
from services.register.reading.json_values import check_json_value
from services.register.reading.source import read_source
from services.register.reading.yaml_aliases import AliasError, compose

T = TypeVar("T")
D = TypeVar("D")

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_DEPTH = 30


def read_document(path: Path, faults: FaultList, *, keys: tuple[str, ...] | None) -> YamlMapping | None:
    """Read the mapping in a YAML file. An empty file is an empty mapping; None, with a fault, when it holds no mapping.

    ``keys`` are the keys that it may hold (None: any).
    """
    text = read_source(path, faults)
    if text is None:
        return None
    file = str(path)
    try:
        node = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        usable = " we can use" if isinstance(error, AliasError) else ""
        faults.add(location, f"not YAML{usable}: {error.problem or error.context}")
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        faults.add(Location(file, len(before), len(before[-1]) + 1), "not YAML: a control character")
        return None
    except RecursionError:
        faults.add(Location(file), "not YAML we can use: nested too deeply")
        return None
    if node is None:
        return YamlMapping(Location(file, 1, 1), {}, {}, faults)
    return _mapping(node, file, faults, keys, "the file")


@dataclass(frozen=True, slots=True)
class YamlScalar:
    """One text of a document and its location; ``null`` when no value is written."""

    text: str
    location: Location
    null: bool = False


@dataclass(frozen=True, slots=True)
class YamlMapping:
    """A mapping of a document: its values by key, where it begins, and the list for its faults."""

    location: Location
    nodes: Mapping[str, yaml.Node]
    keys: Mapping[str, Location]
    faults: FaultList

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    @property
    def folder(self) -> Path:
        """The folder of the document, in which the files that it names are."""
        return Path(self.location.file).parent

    def require(self, key: str) -> bool:
        """Return whether ``key`` exists; record a fault when it does not."""
        if key not in self.nodes:
            self.faults.add(self.location, f"key `{key}` is missing")
        return key in self.nodes

    def is_mapping(self, key: str) -> bool:
        """Return whether the value of ``key`` is a mapping."""
        return isinstance(self.nodes.get(key), yaml.MappingNode)

    def is_empty(self, key: str) -> bool:
        """Return whether the value of ``key`` is a mapping or a list that holds nothing."""
        node = self.nodes[key]
        return isinstance(node, yaml.CollectionNode) and not node.value

    def key_at(self, key: str) -> Location:
        """Return where ``key`` itself begins; where the mapping begins when it has no such key."""
        return self.keys.get(key, self.location)

    def at(self, key: str) -> Location:
        """Return where the value of ``key`` begins; where the mapping begins when it has no such key."""
        return _locate(self.nodes[key], self.location.file) if key in self.nodes else self.location

    def fault(self, key: str, reason: str) -> None:
        """Record a fault of one value."""
        self.faults.add(self.at(key), f"{key}: {reason}")

    def warn(self, key: str, reason: str) -> None:
        """Record a warning of one value."""
        self.faults.warn(self.at(key), f"{key}: {reason}")

    def scalar(self, key: str) -> YamlScalar | None:
        """Return the text under ``key``; None when it is absent or, with a fault, when it is no text."""
        if key not in self.nodes:
            return None
        return _scalar(self.nodes[key], self.location.file, key, self.faults)

    def read(self, key: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the value of ``key``; ``default`` when it is absent or null or, with a fault, when it cannot be used."""
        scalar = self.scalar(key)
        if scalar is None or scalar.null:
            return default
        return self.faults.attempt(scalar.location, key, read, scalar.text, default)

    def need(self, key: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the value of ``key``, as ``read`` does; an absent, null or empty one is a fault too."""
        if not self.require(key):
            return default
        scalar = self.scalar(key)
        if scalar is not None and (scalar.null or not scalar.text.strip()):
            self.fault(key, "is empty")
            return default
        return self.read(key, read, default)

    def mapping(self, key: str, keys: tuple[str, ...] | None) -> YamlMapping | None:
        """Return the mapping under ``key``, which may hold only ``keys`` (None: any); None when there is none."""
        if key not in self.nodes:
            return None
        return _mapping(self.nodes[key], self.location.file, self.faults, keys, key)

    def part(self, key: str, keys: tuple[str, ...] | None) -> YamlMapping:
        """Return the mapping under ``key``, as ``mapping`` does; an empty one when there is none."""
        return self.mapping(key, keys) or YamlMapping(self.location, {}, {}, self.faults)

    def mappings(self, key: str, keys: tuple[str, ...] | None) -> list[YamlMapping]:
        """Return the mappings in the list under ``key``."""
        mappings = (_mapping(node, self.location.file, self.faults, keys, key) for node in self._list(key))
        return [mapping for mapping in mappings if mapping is not None]

    def scalars(self, key: str) -> list[YamlScalar]:
        """Return the texts in the list under ``key``."""
        scalars = (_scalar(node, self.location.file, key, self.faults) for node in self._list(key))
        return [scalar for scalar in scalars if scalar is not None]

    def read_list(self, key: str, read: Callable[[str], T], default: T) -> list[T]:
        """Return the values in the list under ``key``; ``default``, with a fault, for each that cannot be used."""
        scalars = self.scalars(key)
        return [self.faults.attempt(scalar.location, key, read, scalar.text, default) for scalar in scalars]

    def entries(self, key: str) -> Iterator[tuple[str, YamlMapping]]:
        """Yield each key of the mapping under ``key`` with that mapping; nothing when there is none."""
        mapping = self.part(key, None)
        yield from ((name, mapping) for name in mapping.nodes)

    def value(self, key: str) -> object:
        """Return any JSON value under ``key``; None when absent."""
        if key not in self.nodes:
            return None
        try:
            value = _value(self.nodes[key], _DEPTH)
            check_json_value(value)
        except ValueError as error:
            self.fault(key, str(error))
            return None
        return value

    def _list(self, key: str) -> list[yaml.Node]:
        node = self.nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fault(key, "is not a list")
            return []
        return list(node.value)


def _locate(node: yaml.Node, file: str) -> Location:
    return Location(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _mapping(
    node: yaml.Node, file: str, faults: FaultList, keys: tuple[str, ...] | None, name: str
) -> YamlMapping | None:
    if not isinstance(node, yaml.MappingNode):
        faults.add(_locate(node, file), f"{name}: is not a mapping of keys to values")
        return None
    nodes: dict[str, yaml.Node] = {}
    locations: dict[str, Location] = {}
    for key, value in node.value:
        location = _locate(key, file)
        if not isinstance(key, yaml.ScalarNode):
            faults.add(location, f"{name}: a key must be a text")
        elif keys is not None and key.value not in keys:
            faults.add(location, f"key `{key.value}` is unknown; known are {', '.join(keys)}")
        elif key.value in nodes:
            faults.add(location, f"key `{key.value}` is there twice")
        else:
            nodes[key.value] = value
            locations[key.value] = location
    return YamlMapping(_locate(node, file), nodes, locations, faults)


def _scalar(node: yaml.Node, file: str, name: str, faults: FaultList) -> YamlScalar | None:
    location = _locate(node, file)
    if not isinstance(node, yaml.ScalarNode):
        faults.add(location, f"{name}: is not a single value")
        return None
    try:
        check_json_value(node.value)
    except ValueError as error:
        faults.add(location, f"{name}: {error}")
        return None
    return YamlScalar(node.value, location, null=node.style is None and node.value in {"", "null", "~"})


def _value(node: yaml.Node, depth: int) -> object:
    if not depth:
        raise ValueError("is nested too deeply")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, depth - 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        mapping = {_key(key): _value(item, depth - 1) for key, item in node.value}
        if len(mapping) < len(node.value):
            raise ValueError("holds a key twice")
        return mapping
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        if text in {"", "~", "null"}:
            return None
        if text in {"true", "false"} or _NUMBER.fullmatch(text):
            return json.loads(text)
    return text


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("holds a key that is no text")  # noqa: TRY004  # of a document, not of a call
    return str(node.value)
