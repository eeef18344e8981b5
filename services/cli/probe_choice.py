"""Chooses what ``peyvand probe`` probes: targets of the register, or a definition at a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from services.cli.render.format import did_you_mean
from services.core.errors import SettingsError
from services.core.model import Probe, Register, Target, fill_placeholders, placeholders
from services.prober.assignments import Assignment, assignments
from services.prober.scheduling import ScheduleEntry
from services.register.probes import required_params
from services.register.reading import parse_json, read_target


def choose(register: Register, ids: Sequence[str], vantage: str | None) -> list[Assignment]:
    """Return the assignments of these ids in the register, all of them without ``ids``.

    Raises SettingsError naming each id that cannot be probed.
    """
    vantages = {listed.id for listed in register.policy.vantages}
    if vantage is not None and vantage not in vantages:
        raise SettingsError(
            f"--vantage {vantage} is not in the register's policy, which has: {', '.join(sorted(vantages))}"
        )
    available = assignments(register, vantage)
    missing = [name for name in ids if all(target.id != name for target in available)]
    if missing:
        raise SettingsError(f"cannot probe {'; '.join(_why_not(register, name) for name in missing)}")
    return [assignment for target, assignment in available.items() if not ids or target.id in ids]


def _why_not(register: Register, name: str) -> str:
    link = register.links.get(name)
    if link is not None and link.absent:
        return f"{name}: the link is absent, documented as not built"
    if link is not None or name in register.endpoints:
        return f"{name}: it belongs to another vantage"
    known = [*register.links, *register.endpoints]
    return f"{name}: the register has no such link or endpoint{did_you_mean(name, known)}"


def define(register: Register, name: str, target: str, params: Sequence[str]) -> Assignment:
    """Return an assignment of definition ``name`` at ``target``, with params as NAME=VALUE; its id is the name.

    It is judged by the policy's default limits. Raises SettingsError.
    """
    definition = register.probes.get(name)
    if definition is None:
        raise SettingsError(f"--probe {name} is not in probes.yaml, which has: {', '.join(sorted(register.probes))}")
    values = dict(map(_parse_param, params))
    _check(definition, target, values)
    policy = register.policy
    return Assignment(
        entry=ScheduleEntry(Target(name, endpoint=True), definition.timeout),
        definition=definition,
        consumer="",
        provider="",
        url=target,
        params=(values,),
        latency=policy.default_latency_ms / 1000,
        max_age=policy.default_max_age_s,
        zone=ZoneInfo(policy.timezone),
    )


def choose_record(chosen: Sequence[Assignment], number: int) -> list[Assignment]:
    """Keep only this test record of each target, counted from 1. Raises SettingsError naming each that has fewer."""
    short = [f"{item.target.id} has {len(item.params)}" for item in chosen if number > len(item.params)]
    if short:
        raise SettingsError(f"there is no test record --record {number}: {', '.join(short)}")
    return [replace(item, params=item.params[number - 1 : number]) for item in chosen]


def _parse_param(text: str) -> tuple[str, object]:
    """Read NAME=VALUE. As in probes.yaml, a value that is a string, number or flag in JSON is one; others are text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SettingsError(f"--param {name} is not NAME=VALUE")
    try:
        parsed = parse_json(value)
    except ValueError:
        return name, value
    return name, parsed if isinstance(parsed, str | bool | int | float) else value


def _check(definition: Probe, target: str, params: Mapping[str, object]) -> None:
    try:
        missing = sorted((placeholders(target) | required_params(definition)) - params.keys())
        if missing:
            needed = " and ".join(f"--param {name}=…" for name in missing)
            raise SettingsError(f"probe {definition.name} needs {needed}")
        read_target(fill_placeholders(target, params), definition.kind)
    except ValueError as error:
        raise SettingsError(f"--target {target} cannot be probed: {error}") from error
