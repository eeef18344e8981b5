"""What lies in a sandbox's directory: the register, the description of the scenario, the logs of the run."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from services.core.errors import StateError
from services.register.directory import load_register
from services.sandbox.exchanges.data_bus import Bus
from services.sandbox.directory.register_files import CA, SOURCES, register_files, sources_file
from services.sandbox.logs.run import Run, choose_run
from services.sandbox.scenario.scenario import ALIAS, BUS, MEMBER, Scenario
from services.sandbox.timing import Timing
from services.sandbox.logs.truth_log import Header

__all__ = ["ACCESS", "DESCRIPTION", "EXCHANGES", "REGISTER", "Choices", "make_directory", "settle"]

REGISTER = "register"
ACCESS = "access.ndjson"
EXCHANGES = "exchanges.ndjson"
DESCRIPTION = "scenario.json"


@dataclass(frozen=True, slots=True)
class Choices:
    """What to play and where: ``slot`` in seconds, ``faults`` the intensity (1 is ordinary, 0 none), ``traffic`` in
    exchanges a second over the data bus.
    """

    directory: Path
    scenario: str = "small"
    seed: int = 1
    slot: int = 5
    base_port: int = 7500
    faults: float = 1.0
    traffic: float = 4.0


def make_directory(directory: Path) -> None:
    """Make the directory if it is not there; StateError when it cannot be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"the sandbox cannot make {directory}: {error.strerror}; choose another --data") from error


def settle(choices: Choices, made: Scenario, bus: Bus, times: Timing, clock: Callable[[], float]) -> Run:
    """Choose the run, and write its register, the sources of its exchanges and its description.

    The register is tried in a draft first: its version decides whether the run goes on, and the epoch it then gets is
    no part of that version.
    """
    draft = choices.directory / f"{REGISTER}.new"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        _write(draft, register_files(made, bus, times, 0))
        wanted = Header(
            register_version=load_register(draft).register_version,
            slot_seconds=times.slot,
            first_slot=0,
            seed=choices.seed,
            scenario=choices.scenario,
            faults=choices.faults,
            base_port=choices.base_port,
            traffic=choices.traffic,
        )
        shutil.rmtree(draft)
        run = choose_run(choices.directory, wanted, times, clock())
        _write(choices.directory / REGISTER, register_files(made, bus, times, run.header.first_slot))
        description = orjson.dumps(_describe(made, bus, times, run), option=orjson.OPT_INDENT_2).decode()
        listed = sources_file(bus, times, choices.base_port)
        _write(choices.directory, {SOURCES: listed, DESCRIPTION: description})
    except OSError as error:
        raise StateError(
            f"the sandbox cannot write {error.filename or choices.directory}: {error.strerror}; choose another --data"
        ) from error
    return run


def _write(directory: Path, files: dict[str, str]) -> None:
    """Write files whole, and only those that change, so that whoever watches them is not woken for nothing."""
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        path = directory / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        draft = directory / f".{name}.new"
        draft.write_text(content, encoding="utf-8")
        draft.replace(path)


def _describe(made: Scenario, bus: Bus, times: Timing, run: Run) -> dict[str, object]:
    return {
        "scenario": made.name,
        "seed": made.seed,
        "slot_seconds": times.slot,
        "first_slot": run.header.first_slot,
        "counts": {
            "agencies": len(made.agencies),
            "services": len(made.services),
            "links": len(made.links),
            "links_absent": len(made.links) - len(made.wires),
            "links_live": len(made.wires),
            "links_tls": sum(wire.tls for wire in made.wires),
            "links_on_bus": sum(wire.on_bus for wire in made.wires),
            "endpoints": len(made.endpoints),
            "security_servers": len(bus.servers),
            "routes": len(bus.routes),
            "routes_silent": sum(not route.weight for route in bus.routes),
            "routes_undeclared": sum(not route.links for route in bus.routes),
        },
        "providers": dict(Counter(wire.provider for wire in made.wires).most_common()),
        "exchange": {
            "member": MEMBER,
            "agency": made.member_agency,
            "alias": ALIAS,
            "link": made.sample_link,
        },
        "unfair": {route.client: {route.service: route.unfair} for route in bus.routes if route.unfair},
        "clocks_ahead_ms": {server.id: server.skew_ms for server in bus.servers},
        "bus": BUS,
        "control_target": made.control_target,
        "ca": CA,
        "seconds": {"timeout": times.timeout, "latency": times.latency, "slow": times.slow, "lead": times.lead},
    }
