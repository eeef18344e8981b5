"""docs/crosswalk.md names figures that the api returns, and gives a reason where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor import Descriptor

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from tests.support.paths import ROOT

FRAMEWORKS: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs/crosswalk.yaml").read_text("utf-8"))
ROWS = [(each["framework"], row) for each in FRAMEWORKS for row in each["indicators"]]


def _within(message: Descriptor, found: dict[str, Descriptor]) -> None:
    """Add a message to those found, and every message within it."""
    if found.setdefault(message.name, message) is message and message.file.package == "peyvand.v1":
        for field in message.fields:
            if field.message_type is not None and field.message_type.name not in found:
                _within(field.message_type, found)


def _answered() -> dict[str, Descriptor]:
    found: dict[str, Descriptor] = {}
    for module in (indicator_service_pb2, register_service_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                _within(method.output_type, found)
    return found


ANSWERED = _answered()


def _fields() -> Iterator[str]:
    for _, row in ROWS:
        yield from row.get("fields", ())


@pytest.mark.parametrize("name", sorted(set(_fields())))
def test_the_figure_is_in_the_contract(name: str) -> None:
    """Each figure is a field of a message that a method of the api answers with."""
    message, _, field = name.partition(".")
    assert message in ANSWERED
    assert field in ANSWERED[message].fields_by_name


@pytest.mark.parametrize(("framework", "row"), ROWS, ids=lambda part: part["asks"] if isinstance(part, dict) else part)
def test_every_question_has_figures_or_a_reason(framework: str, row: dict[str, Any]) -> None:
    """A question has figures and says how far they answer it, or it says why they cannot."""
    assert framework
    assert set(row) in ({"asks", "how"}, {"asks", "fields", "how"})
    assert all(row.values())
    assert row["how"].endswith(".")


def test_every_framework_has_both() -> None:
    """Each framework has answered and unanswered questions, and asks each question once."""
    assert [each["framework"] for each in FRAMEWORKS] == [
        "Interoperable Europe Act, article 20",
        "OECD Digital Government Index",
        "World Bank GovTech Maturity Index",
        "UN E-Government Development Index",
        "Iran's official evaluation, round 12",
    ]
    for each in FRAMEWORKS:
        answered = ["fields" in row for row in each["indicators"]]
        assert any(answered)
        assert not all(answered)
        asked = [row["asks"] for row in each["indicators"]]
        assert len(asked) == len(set(asked))
