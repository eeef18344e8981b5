"""Prepares the directory of a sandbox: the register, the collector's sources, the scenario's description, the run."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson

from services.core.errors import StateError
from services.core.files import replace
from services.core.settings import Settings
from services.register.directory import load_register
from services.sandbox.directory.register_files import SOURCES, make_register_files, sources_file
from services.sandbox.exchanges import DataBus
from services.sandbox.logs import Run, RunHeader, choose_run
from services.sandbox.scenario import ALIAS, BUS, MEMBER, Scenario
from services.sandbox.servers import CA
from services.sandbox.timing import Timing

REGISTER = "register"
ACCESS = "access.ndjson"
EXCHANGES = "exchanges.ndjson"
DEPARTURES = "departures.ndjson"
DESCRIPTION = "scenario.json"


def make_directory(directory: Path) -> None:
    """Create the directory if needed. Raises StateError when that fails."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"the sandbox cannot create {directory}: {error.strerror}; choose another --data") from error


def prepare_run(settings: Settings, scenario: Scenario, bus: DataBus, times: Timing, clock: Callable[[], float]) -> Run:
    """Choose the run, and write its register, sources and description. Raises StateError when a file cannot be written.

    A draft of the register is written first, because its version decides whether the run is resumed. The epoch follows
    from the run and is not part of the version.
    """
    draft = settings.data / f"{REGISTER}.new"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        _write(draft, make_register_files(scenario, bus, times, 0))
        wanted = RunHeader(
            register_version=load_register(draft).register_version,
            slot_seconds=times.slot,
            first_slot=0,
            seed=settings.seed,
            scenario=settings.scenario,
            faults=settings.faults,
            base_port=settings.base_port,
            traffic=settings.traffic,
        )
        shutil.rmtree(draft)
        run = choose_run(settings.data, wanted, times, clock())
        register = make_register_files(scenario, bus, times, run.header.first_slot)
        # A copy, since the files that a register names lie within it.
        _write(settings.data / REGISTER, {**register, CA: (settings.data / CA).read_text(encoding="utf-8")})
        description = orjson.dumps(_describe(scenario, bus, times, run), option=orjson.OPT_INDENT_2).decode()
        sources = sources_file(bus, times, settings.base_port)
        _write(settings.data, {SOURCES: sources, DESCRIPTION: description})
    except OSError as error:
        raise StateError(
            f"the sandbox cannot write {error.filename or settings.data}: {error.strerror}; choose another --data"
        ) from error
    return run


def _write(directory: Path, files: dict[str, str]) -> None:
    """Write the files that change, each as a whole; the others stay, so that nothing that watches them wakes."""
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        path = directory / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            replace(path, content.encode())


def _describe(scenario: Scenario, bus: DataBus, times: Timing, run: Run) -> dict[str, object]:
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "slot_seconds": times.slot,
        "first_slot": run.header.first_slot,
        "counts": {
            "agencies": len(scenario.agencies),
            "services": len(scenario.services),
            "links": len(scenario.links),
            "links_absent": len(scenario.links) - len(scenario.served_links),
            "links_live": len(scenario.served_links),
            "links_tls": sum(served.tls for served in scenario.served_links),
            "links_on_bus": sum(served.on_bus for served in scenario.served_links),
            "endpoints": len(scenario.endpoints),
            "security_servers": len(bus.servers),
            "routes": len(bus.routes),
            "routes_silent": sum(not route.weight for route in bus.routes),
            "routes_undeclared": sum(not route.links for route in bus.routes),
        },
        "providers": dict(Counter(served.provider for served in scenario.served_links).most_common()),
        "exchange": {"member": MEMBER, "agency": scenario.member_agency, "alias": ALIAS, "link": scenario.sample_link},
        "unfair": {route.client: {route.service: route.unfair} for route in bus.routes if route.unfair},
        "clocks_ahead_ms": {server.id: server.skew_ms for server in bus.servers},
        "bus": BUS,
        "control_target": scenario.control_target,
        "ca": CA,
        "seconds": {"timeout": times.timeout, "latency": times.latency, "slow": times.slow, "lead": times.lead},
    }
