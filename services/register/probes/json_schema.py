"""JSON Schemas (draft 2020-12) in expectations, checked as they will be run. Pure: nothing outside a schema is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jsonschema import Draft202012Validator, SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from services.register.probes.patterns import read_pattern

_DATA = frozenset({"const", "enum", "default", "examples"})


def check_schema(schema: object) -> object:
    """Return the JSON Schema. ValueError when it is none, or cannot be run."""
    try:
        Draft202012Validator.check_schema(schema)  # type: ignore[arg-type]  # it accepts any value and reports what is no schema
    except SchemaError as error:
        raise ValueError(f"is not JSON Schema: {error.message} at {error.json_path}") from None
    keywords = list(_keywords(schema))
    if {"patternProperties", "unevaluatedProperties"} <= {keyword for keyword, _ in keywords}:
        raise ValueError("holds `unevaluatedProperties` beside `patternProperties`: write `additionalProperties`")
    for keyword, value in keywords:
        if keyword == "pattern" and isinstance(value, str):
            read_pattern(value)
        elif keyword == "patternProperties" and isinstance(value, Mapping):
            for pattern in value:
                read_pattern(pattern)
        elif keyword in {"$ref", "$dynamicRef"} and isinstance(value, str):
            _check_reference(value, schema)
        elif keyword == "$id" and isinstance(value, str):
            raise ValueError("holds `$id`: a schema is known by its place alone")
    return schema


def _check_reference(target: str, schema: object) -> None:
    if not target.startswith("#"):
        raise ValueError(f"refers to `{target}`, another document: put it under `$defs`")
    try:
        Registry().resolver_with_root(DRAFT202012.create_resource(schema)).lookup(target)
    except Unresolvable:
        raise ValueError(f"refers to `{target}`, which is not there") from None


def _keywords(schema: object) -> Iterator[tuple[str, object]]:
    """Yield every keyword with its value, at any depth, except within values that are data."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            yield key, value
            if key not in _DATA:
                yield from _keywords(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)
