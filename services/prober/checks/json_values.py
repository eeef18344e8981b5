"""Checks of JSON answers: values at paths, schemas. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from services.core.model import Reason
from services.core.texts import fold
from services.prober.checks.document import CheckFailedError, Document
from services.prober.expected import ANYTHING, Expectations, JsonCheck
from services.prober.observation import Observation


def check_json(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check the values at JSON paths."""
    for check in expectations.json:
        if problem := json_problem(check, document):
            raise CheckFailedError(Reason.JSON, problem)


def check_schema(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check the whole body against a JSON Schema."""
    if expectations.schema is not None:
        problem = expectations.schema.fault(document.value)
        if problem:
            raise CheckFailedError(Reason.JSON_SCHEMA, problem)


def json_problem(check: JsonCheck, document: Document) -> str:
    """Return the problem at the path, empty when there is none. It leaves out the values, which may be personal."""
    values = check.query.values(document.value)
    if not values:
        return f"{check.path} finds nothing"
    if check.type:
        typed = [value for value in values if check.type in _types(value)]
        if not typed:
            return f"{check.path} is {next(_types(values[0]))}, not {check.type}"
        values = typed
    if check.equals is not ANYTHING and not any(_same(value, check.equals) for value in values):
        return f"{check.path} differs from what is expected"
    return ""


def _types(value: object) -> Iterator[str]:
    """Yield the JSON types of the value; a whole number is an integer as well as a number."""
    if value is None:
        yield "null"
    elif isinstance(value, bool):
        yield "boolean"
    elif isinstance(value, int | float):
        if isinstance(value, int) or value.is_integer():
            yield "integer"
        yield "number"
    elif isinstance(value, str):
        yield "string"
    elif isinstance(value, list):
        yield "array"
    else:
        yield "object"


def _same(value: object, expected: object) -> bool:
    """Return whether two JSON values are equal: true is not 1, texts compare folded (docs/register.md)."""
    if isinstance(value, str) and isinstance(expected, str):
        return value == expected or fold(value) == fold(expected)
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_same, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(_same(value[key], expected[key]) for key in value)
    return value == expected
