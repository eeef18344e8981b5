"""Answers are checked against JSON Schemas."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, Probe
from services.prober.checks import Judgement
from services.prober.checks.judgement import judge
from services.prober.expected.compiler import compile_expectations
from services.prober.expected.json_schema import compile_schema
from services.prober.observation import Observation

PERSON = {
    "type": "object",
    "required": ["id", "births"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]{10}$"},
        "births": {"type": "array", "items": {"$ref": "#/$defs/birth"}},
    },
    "$defs": {"birth": {"type": "object", "properties": {"year": {"type": "integer", "minimum": 1300}}}},
    "patternProperties": {"^x-": {"type": "boolean"}},
    "additionalProperties": False,
}


def judged(schema: object, body: bytes) -> Judgement:
    definition = Probe("test", "http", expect=Expect(schema=schema))
    observation = Observation(time=1000.0, duration=0.2, latency=0.1, status=200, body=body)
    return judge(observation, compile_expectations(definition, {}, latency=None, max_age=None))


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ({"id": "0012345678", "births": []}, ""),
        ({"id": "0012345678", "births": [{"year": 1350}], "x-a": True}, ""),
        ({"id": 12345678, "births": []}, "$.id breaks the rule `type`"),
        ({"id": "12345678", "births": []}, "$.id breaks the rule `pattern`"),
        ({"id": "0012345678"}, "$ breaks the rule `required`"),
        ({"id": "0012345678", "births": [{}, {"year": 1200}]}, "$.births[1].year breaks the rule `minimum`"),
        ({"id": "0012345678", "births": [], "0098765432": 1}, "$ breaks the rule `additionalProperties`"),
        ({"id": "0012345678", "births": [], "x-0098765432": 1}, "$['*'] breaks the rule `type`"),
        ([], "$ breaks the rule `type`"),
    ],
)
def test_where_an_answer_breaks_its_schema(value: object, detail: str) -> None:
    """An answer that breaks its schema is INVALID/JSON_SCHEMA. The detail has the path and the rule but no value."""
    judgement = judged(PERSON, orjson.dumps(value))
    assert (judgement.reason, judgement.detail) == (Reason.JSON_SCHEMA if detail else Reason.OK, detail)
    assert judgement.outcome is (Outcome.INVALID if detail else Outcome.OK)


def test_unnamed_keys_are_not_reported() -> None:
    """A wrong value under a key that the schema does not name is reported without the key, which may be personal."""
    judgement = judged({"additionalProperties": {"type": "string"}}, b'{"0012345678": 1}')
    assert judgement.detail == "$['*'] breaks the rule `type`"


def test_a_body_that_is_not_json_breaks_its_schema() -> None:
    """A body that is not JSON is INVALID/JSON."""
    assert judged(PERSON, b"<r/>").reason is Reason.JSON


@pytest.mark.parametrize(("schema", "reason"), [(True, Reason.OK), (False, Reason.JSON_SCHEMA), ({}, Reason.OK)])
def test_schemas_that_say_yes_or_no(schema: object, reason: Reason) -> None:
    """True and the empty schema allow everything, and false nothing."""
    assert judged(schema, b"1").reason is reason


@pytest.mark.parametrize("target", ["https://schemas.example/person", "file:///etc/hostname", "#/$defs/none"])
def test_nothing_is_fetched(target: str) -> None:
    """A reference to another document is not followed. The check fails with an error."""
    assert judged({"$ref": target}, b"1").reason is Reason.CHECK_ERROR


def test_a_schema_is_compiled_once() -> None:
    """Definitions with the same schema share its compiled form, in any order of keys."""
    assert compile_schema({"type": "object", "minProperties": 1}) is compile_schema(
        {"minProperties": 1, "type": "object"}
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"patternProperties": {"^(a+)+$": False}},
        {"properties": {"b": {}}, "patternProperties": {"^(a+)+$": {}}, "additionalProperties": {"type": "string"}},
    ],
)
def test_no_text_holds_up_a_pattern(schema: object) -> None:
    """Texts and keys that would keep a backtracking matcher busy forever are judged."""
    for body in (b'"%s!"' % (b"a" * 5000), b'{"%s!": "x"}' % (b"a" * 5000)):
        assert judged(schema, body).reason in {Reason.OK, Reason.JSON_SCHEMA}


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300, 2**53 + 1, 2.0**53, "", "1", "true"]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "1"]), below, max_size=3),
    max_leaves=6,
)


@given(st.lists(_VALUES, max_size=5))
def test_items_are_unique_by_the_standard(items: list[object]) -> None:
    """`uniqueItems` holds exactly where jsonschema compares each pair as different: 1 is 1.0, true is not 1."""
    schema = {"uniqueItems": True}
    unique = Draft202012Validator(schema).is_valid(items)
    assert compile_schema(schema).fault(items) == (None if unique else "$ breaks the rule `uniqueItems`")


def test_items_that_may_repeat() -> None:
    """`uniqueItems: false` requires nothing. Neither does the rule for values that are not lists."""
    assert compile_schema({"uniqueItems": False}).fault([1, 1]) is None
    assert compile_schema({"uniqueItems": True}).fault({"a": 1}) is None
