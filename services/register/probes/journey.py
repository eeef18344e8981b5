"""Reads the ``steps`` of a journey, each a probe definition with captures for later steps (docs/probing.md §2)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from services.core.model import Capture, Probe, Step, placeholders, template_texts
from services.register.faults import FaultList
from services.register.probes.patterns import count_groups, read_path, read_pattern, read_xpath
from services.register.reading import (
    YamlMapping,
    read_choice,
    read_duration,
    read_flag,
    read_name,
    read_origin,
    read_template,
)

EXTRA = ("name", "target", "capture", "origins", "always")
"""The keys of a step besides those of its kind."""

GIVEN_VARIABLES = frozenset({"target"})
"""Variables that every step of a journey has: the target of its link or endpoint."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULT = Probe(name="", kind="journey")


def read_steps(mapping: YamlMapping, read: Callable[[str, YamlMapping], Probe]) -> tuple[Step, ...]:
    """Read the steps of a journey; ``read`` reads the definition of one, given its name."""
    items = mapping.mappings("steps", None)
    limit = _limit(mapping)
    steps: list[Step] = []
    for item in items:
        name = item.need("name", read_name, "")
        if name in {step.probe.name for step in steps}:
            item.fault("name", f"step `{name}` is there twice")
        probe = read(name, item)
        if "timeout" in item and probe.timeout > limit:
            item.fault("timeout", f"{probe.timeout:g} s is above the {limit:g} s of the whole journey")
        step = Step(
            probe,
            item.need("target", read_template, ""),
            _captures(item, probe.expect.namespaces),
            tuple(item.read_list("origins", partial(read_origin, kind=probe.kind), "")),
            item.read("always", read_flag, False),
        )
        steps.append(step)
    if not steps and "steps" in mapping:
        mapping.fault("steps", "is empty")
    _check_order(steps, items)
    return tuple(steps)


def _limit(mapping: YamlMapping) -> float:
    """Return the journey's timeout in seconds; a bad one, whose fault is recorded elsewhere, sets no limit."""
    if "timeout" not in mapping:
        return _DEFAULT.timeout
    return replace(mapping, faults=FaultList()).read("timeout", read_duration, math.inf)


def placeholders_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of all placeholders in texts; bad texts, whose faults are recorded elsewhere, are skipped."""
    names: set[str] = set()
    for text in texts:
        with suppress(ValueError):
            names |= placeholders(text)
    return frozenset(names)


def _check_order(steps: Sequence[Step], items: Sequence[YamlMapping]) -> None:
    """Check that no step uses a variable before it is captured, or has origins but no captured value in its target."""
    captured = [step.capture.keys() for step in steps]
    for number, (step, item) in enumerate(zip(steps, items, strict=True)):
        before = GIVEN_VARIABLES.union(*captured[:number])
        for variable in sorted(placeholders_of((step.target, *template_texts(step.probe))) - before):
            later = next((other.probe.name for other in steps[number:] if variable in other.capture), None)
            if later is not None:
                reason = f"step `{step.probe.name}` uses `{variable}` before step `{later}` has captured it"
                item.faults.add(item.location, reason)
        if step.origins and placeholders_of((step.target,)).isdisjoint(before - GIVEN_VARIABLES):
            item.fault("origins", "is for a `target` that holds what an earlier step captured")


def _captures(mapping: YamlMapping, namespaces: Mapping[str, str]) -> dict[str, Capture]:
    places: dict[str, Callable[[str], str]] = {
        "json": read_path,
        "xpath": partial(read_xpath, namespaces=namespaces),
        "header": read_name,
        "pattern": _read_group,
    }
    captures: dict[str, Capture] = {}
    for variable, given in mapping.entries("capture"):
        item = given.mapping(variable, (*places, "encode"))
        if not _VARIABLE.fullmatch(variable):
            given.faults.add(given.key_at(variable), f"`{variable}` is not a name for a variable")
        elif variable in GIVEN_VARIABLES:
            given.faults.add(given.key_at(variable), f"`{variable}` is given, and cannot be captured")
        if item is None:
            continue
        if sum(key in item for key in places) != 1:
            given.fault(variable, f"needs one of {', '.join(f'`{key}`' for key in places)}")
        captures[variable] = Capture(
            **{place: item.need(place, read, "") for place, read in places.items() if place in item},
            encode=item.read("encode", lambda text: read_choice(text, "url", "json", "xml"), ""),
        )
    return captures


def _read_group(text: str) -> str:
    if count_groups(read_pattern(text)) == 0:
        raise ValueError(f"`{text}` has no group to take the value from")
    return text
