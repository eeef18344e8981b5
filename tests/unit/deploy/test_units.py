"""The units of deploy/systemd are complete and sound, and name existing commands, settings and roles."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest

from services.core.bus.roles import ROLES
from services.core.bus.server_accounts import accounts
from services.core.settings import METRICS_PORTS
from tests.images.units import units_are_sound
from tests.support.commands import faults, unknown_variables
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.waiting import DEADLINE

FOLDER = ROOT / "deploy" / "systemd"
CHECK = FOLDER / "peyvand-nats-check.service"
UNITS = sorted({*FOLDER.glob("*.service")} - {CHECK})
COMPONENTS = sorted(METRICS_PORTS.keys() - {"sandbox"})


def _values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def _command(text: str) -> list[str]:
    program_, *words = _values(text, "ExecStart")[0].split()
    return [Path(program_).name, *words]


def _variables(text: str) -> list[str]:
    return [word.partition("=")[0] for line in _values(text, "Environment") for word in line.split()]


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """systemd-analyze verifies every unit and rates its exposure as low."""
    program("systemd-analyze", "systemd")
    assert units_are_sound(tmp_path) == f"{len(UNITS) + 3} units"


def test_every_component_has_a_unit() -> None:
    """Each component, the register, the bus and its server have a unit, and all belong to the target."""
    names = {unit.stem.removeprefix("peyvand-").rstrip("@") for unit in UNITS}
    assert names == {*COMPONENTS, "register", "bus", "nats"}
    for unit in UNITS:
        text = unit.read_text("utf-8")
        assert _values(text, "PartOf") == ["peyvand.target"], unit.name
        assert _values(text, "WantedBy") == ["peyvand.target"], unit.name


def test_every_unit_has_a_user_of_its_own() -> None:
    """Each unit runs as its own user from sysusers.conf, so that a compromised component reads no other's state."""
    users = {unit.stem: _values(unit.read_text("utf-8"), "User") for unit in UNITS}
    assert users == {unit: [unit.rstrip("@")] for unit in users}
    made = re.findall(r"^u (\S+) ", (FOLDER / "sysusers.conf").read_text("utf-8"), re.MULTILINE)
    assert sorted(made) == sorted(unit.rstrip("@") for unit in users)


def test_who_shows_rounds_may_read_them() -> None:
    """Units that show rounds look in the common folder, and their users are in its group."""
    shows = {unit.stem for unit in UNITS if "PEYVAND_ROUNDS=%S/peyvand/rounds" in unit.read_text("utf-8")}
    assert shows == {"peyvand-api", "peyvand-console"}
    users = (FOLDER / "sysusers.conf").read_text("utf-8")
    assert set(re.findall(r"^m (\S+) peyvand-rounds$", users, re.MULTILINE)) == shows
    page = (FOLDER.parents[1] / "docs" / "operating.md").read_text("utf-8")
    assert "install -d -m 2750 -g peyvand-rounds /var/lib/peyvand/rounds\n" in page


def test_a_bus_that_a_full_disk_stopped_is_started_again() -> None:
    """Once a minute an unprivileged command checks the bus; only its exit code makes systemd restart the bus."""
    text = CHECK.read_text("utf-8")
    (condition,) = _values(text, "ExecCondition")
    assert condition.startswith("/opt/peyvand/.venv/bin/peyvand ")
    assert faults(condition.split()[1:]) == []
    assert _values(text, "ExecStart") == ["+/usr/bin/systemctl try-restart peyvand-nats.service"]
    assert (_values(text, "Type"), _values(text, "DynamicUser")) == (["oneshot"], ["yes"])
    timer = CHECK.with_suffix(".timer").read_text("utf-8")
    assert _values(timer, "OnUnitInactiveSec") == ["1min"]
    assert (_values(timer, "PartOf"), _values(timer, "WantedBy")) == (["peyvand.target"], ["peyvand.target"])


def test_the_bus_is_reloaded_twice() -> None:
    """The unit reloads twice, a second apart, because one reload does not give a new account its imports."""
    text = (FOLDER / "peyvand-nats.service").read_text("utf-8")
    reload = "/bin/kill -HUP $MAINPID"
    assert _values(text, "ExecReload") == [reload, "/bin/sleep 1", reload]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_name_what_exists(unit: Path) -> None:
    """The command, flags, variables and credentials of each unit exist."""
    text = unit.read_text("utf-8")
    command, *words = _command(text)
    if command == "nats-server":
        assert words == ["-c", "/etc/peyvand/nats.conf"]
        return
    assert command == "peyvand"
    assert faults(words) == []
    component = words[0]
    assert unknown_variables(component, _variables(text)) == []
    users = {seat.name for seat in accounts(["%i"], ["%i"])}
    for name, path in (one.split(":") for one in _values(text, "LoadCredential")):
        if name == "ca.pem":
            assert path == "/etc/peyvand/ca.pem"
        elif name == "archive.key":
            assert path == "/etc/peyvand/archive/archive.key"
        else:
            assert name.removesuffix(".nk") in ROLES
            assert path == f"/etc/peyvand/users/{Path(path).parent.name}/{name}"
            assert Path(path).parent.name in users


def _installed(folder: Path, units: Iterable[Path]) -> None:
    """Copy units into a folder, with a command that exists in place of theirs."""
    for unit in units:
        (folder / unit.name).write_text(_with_a_command(unit.read_text("utf-8")))


def _with_a_command(text: str) -> str:
    return text.replace("/opt/peyvand/.venv/bin/", "/usr/bin/env ")


def _verified(folder: Path, unit: str) -> tuple[int, str]:
    """Return systemd's exit code and errors for a unit when only the folder's units and systemd's own are installed."""
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", "--man=no", unit],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("unit", ["prober@north", "collector@xroad", "scorer", "api", "register"])
def test_a_component_starts_where_the_bus_is_elsewhere(tmp_path: Path, unit: str) -> None:
    """On a host with no other unit of ours, systemd accepts the unit."""
    _installed(tmp_path, FOLDER.glob(f"peyvand-{re.sub('@.*', '@', unit)}.service"))
    assert _verified(tmp_path, f"peyvand-{unit}.service") == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_components_outlive_the_bus(unit: Path) -> None:
    """A component that runs on without the bus starts after it, and is not stopped or restarted with it."""
    text = unit.read_text("utf-8")
    tied = [
        word for key in ("Requires", "BindsTo", "Requisite") for line in _values(text, key) for word in line.split()
    ]
    after = {word for line in _values(text, "After") for word in line.split() if word.startswith("peyvand-")}
    bus = {
        "peyvand-console": ([], {"peyvand-api.service"}),
        "peyvand-nats": ([], set()),
        "peyvand-bus": (["peyvand-nats.service"], {"peyvand-nats.service"}),
    }
    assert (tied, after) == bus.get(unit.stem, ([], {"peyvand-bus.service"}))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_are_started_again_however_often(unit: Path) -> None:
    """A unit that ends at once, such as a prober of an unknown vantage, is restarted without a limit."""
    above, _, service = unit.read_text("utf-8").partition("[Service]")
    assert (_values(above, "StartLimitIntervalSec"), _values(service, "RestartSec")) == (["0"], ["1"])


def test_a_second_prober_s_drop_in_is_sound(tmp_path: Path) -> None:
    """The operating guide's drop-in fits the prober's unit: a name, a port, a bus user and an existing command."""
    page = (FOLDER.parents[1] / "docs" / "operating.md").read_text("utf-8")
    (text,) = (
        textwrap.dedent(block) for block in re.findall(r"^ *```ini\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    )
    (command,) = filter(None, _values(text, "ExecStart"))
    assert (
        command.partition(" ")[0]
        == _values((FOLDER / "peyvand-prober@.service").read_text("utf-8"), "ExecStart")[0].split()[0]
    )
    assert faults(command.split()[1:]) == []
    assert _variables(text) == ["PEYVAND_PROBER", "PEYVAND_METRICS"]
    assert unknown_variables("prober", _variables(text)) == []
    _installed(tmp_path, [*UNITS, *FOLDER.glob("*.target")])
    over = tmp_path / "peyvand-prober@main-b.service.d" / "override.conf"
    over.parent.mkdir()
    over.write_text(_with_a_command(text))
    assert _verified(tmp_path, "peyvand-prober@main-b.service") == (0, "")


def test_the_settings_file_names_what_exists() -> None:
    """Every component reads every variable of peyvand.env, because all of them get it."""
    lines = (FOLDER / "peyvand.env").read_text("utf-8").splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert names == ["PEYVAND_NATS"]
    assert [unknown_variables(component, names) for component in COMPONENTS] == [[]] * len(COMPONENTS)


def test_what_does_not_exist_is_found() -> None:
    """A flag of another component, an unknown command or option, and a variable that nobody reads are reported."""
    assert faults(["scorer", "--vantage", "main"]) == ["scorer has no flag --vantage"]
    assert faults(["bus", "initialise"]) == ["there is no command initialise"]
    assert faults(["bus", "init", "--copies=3"]) == ["init has no option --copies"]
    assert faults(["bus", "init", "--replicas", "3"]) == []
    assert unknown_variables("api", ["PEYVAND_NATS", "PEYVAND_VANTAGE", "PEYVAND_DATA"]) == [
        "PEYVAND_VANTAGE",
        "PEYVAND_DATA",
    ]
