"""What ``peyvand probe`` is to probe: links and endpoints of a register, or one definition at a target given by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from services.core.errors import SettingsError
from services.core.model import Probe, Register, Target, fill_placeholders, placeholders
from services.prober.assignments import Assignment, assignments
from services.prober.scheduling import ScheduleEntry
from services.register.probes import required_params
from services.register.reading import read_target

__all__ = ["chosen", "only", "single"]


def chosen(register: Register, ids: Sequence[str], vantage: str | None) -> list[Assignment]:
    """Choose from what the register lists, all of it without ``ids``. Raises SettingsError naming each that cannot be."""
    known = {known.id for known in register.policy.vantages}
    if vantage is not None and vantage not in known:
        raise SettingsError(
            f"--vantage {vantage} is not in the register's policy, which has: {', '.join(sorted(known))}"
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
    return f"{name}: the register has no such link or endpoint"


def single(register: Register, name: str, target: str, written: Sequence[str]) -> Assignment:
    """Return definition ``name`` at ``target``, with params as written on the command line; its id is the name.

    It is judged by the policy's default limits. Raises SettingsError.
    """
    definition = register.probes.get(name)
    if definition is None:
        raise SettingsError(f"--probe {name} is not in probes.yaml, which has: {', '.join(sorted(register.probes))}")
    params = dict(map(_param, written))
    _check(definition, target, params)
    policy = register.policy
    return Assignment(
        entry=ScheduleEntry(Target(name, endpoint=True), definition.timeout),
        definition=definition,
        consumer="",
        provider="",
        url=target,
        params=(params,),
        latency=policy.default_latency_ms / 1000,
        max_age=policy.default_max_age_s,
        zone=ZoneInfo(policy.timezone),
    )


def only(wanted: Sequence[Assignment], number: int) -> list[Assignment]:
    """Leave each the test record of this number alone, counted from 1. Raises SettingsError naming each that has fewer."""
    short = [f"{one.target.id} has {len(one.params)}" for one in wanted if number > len(one.params)]
    if short:
        raise SettingsError(f"there is no test record --record {number}: {', '.join(short)}")
    return [replace(one, params=one.params[number - 1 : number]) for one in wanted]


def _param(written: str) -> tuple[str, object]:
    """Read NAME=VALUE; a value that JSON knows as a number or a flag is one, as in probes.yaml."""
    name, equals, text = written.partition("=")
    if not name or not equals:
        raise SettingsError(f"--param {name} is not NAME=VALUE")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        return name, text
    return name, value if isinstance(value, str | bool | int | float) else text


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def _check(definition: Probe, target: str, params: Mapping[str, object]) -> None:
    try:
        missing = sorted((placeholders(target) | required_params(definition)) - params.keys())
        if missing:
            raise SettingsError(f"probe {definition.name} needs {' and '.join(f'--param {one}=…' for one in missing)}")
        read_target(fill_placeholders(target, params), definition.kind)
    except ValueError as error:
        raise SettingsError(f"--target {target} cannot be probed: {error}") from error
