"""Compiles JSON Schemas (draft 2020-12). Pure: a reference to another document is never followed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry

from services.prober.expected.paths import compile_pattern

_Errors = Iterator[ValidationError]

# The largest answer in bytes that is checked in the event loop: some hundred values, each checked in Python.
_AT_ONCE: Final = 1 << 12

_ANY: Final = "*"
"""Stands in a path for a key that the schema does not name, because such a key may itself be personal."""


def _pattern(_validator: Any, pattern: str, instance: object, _schema: object) -> _Errors:
    if isinstance(instance, str) and not _search(pattern, instance):
        yield ValidationError("a text does not match its pattern")


def _pattern_properties(validator: Any, patterns: Mapping[str, object], instance: object, _schema: object) -> _Errors:
    if isinstance(instance, dict):
        for pattern, below in patterns.items():
            for key, value in instance.items():
                if _search(pattern, key):
                    yield from validator.descend(value, below, path=_ANY, schema_path=pattern)


def _additional(validator: Any, below: object, instance: object, schema: Mapping[str, Any]) -> _Errors:
    if isinstance(instance, dict):
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for key, value in instance.items():
            if key in known or any(_search(pattern, key) for pattern in patterns):
                continue
            if below is False:
                yield ValidationError("a property is not allowed")
            else:
                yield from validator.descend(value, below, path=_ANY)


def _unique(_validator: Any, wanted: object, instance: object, _schema: object) -> _Errors:
    if (
        wanted
        and isinstance(instance, list)
        and len(instance) > 1
        and len(set(map(_canonical, instance))) < len(instance)
    ):
        yield ValidationError("two items are the same")


def _canonical(value: object) -> str:
    """Return a text that is the same for equal JSON values: 1 equals 1.0 but not true, and keys have no order."""
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{key!r}:{_canonical(item)}' for key, item in value.items()))}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)


def _search(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).matches(text.encode())


# Python's regular expressions, or comparing every item with every other, would let one answer hold up every probe.
_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
        "uniqueItems": _unique,
    },
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema. Answers of up to ``at_once`` bytes are checked against it in the event loop."""

    _validator: Any = field(repr=False)
    at_once: int = _AT_ONCE

    def __reduce__(self) -> tuple[Callable[[object], Schema], tuple[object]]:
        """Pickle as JSON."""
        return compile_schema, (self._validator.schema,)

    def fault(self, value: object) -> str | None:
        """Return where a JSON value breaks the schema, and which rule, without the value; None when it does not."""
        error = next(self._validator.iter_errors(value), None)
        return None if error is None else f"{error.json_path} breaks the rule `{error.validator}`"


def compile_schema(schema: object) -> Schema:
    """Compile a schema, once per text."""
    return _compile(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=1024)
def _compile(text: str) -> Schema:
    return Schema(_Validator(json.loads(text), registry=Registry()))
