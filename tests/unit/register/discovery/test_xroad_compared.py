"""X-Road's lists are compared with a register."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.commands.register import app
from services.core.errors import InputError, SettingsError
from services.register.discovery.proposal import write_files
from services.register.discovery.xroad_import import import_xroad
from tests.support.cases.registers.xroad_lists import EPOCH, METHODS
from tests.support.registers import write_register


def listed(path: Path, *clients: str) -> str:
    """Write the JSON answer of listClients with these members and subsystems, and return its path."""
    names = ("xroad_instance", "member_class", "member_code", "subsystem_code")
    members = [{"id": dict(zip(names, client.split("/"), strict=False)), "name": "CANARY"} for client in clients]
    path.write_text(json.dumps({"member": members}))
    return str(path)


def compared(tmp_path: Path, rows: str, *arguments: str) -> str:
    """Return the output of `register import xroad --against` for these arguments and rows of members.csv."""
    register = write_register(tmp_path / "register", members_csv=f"member,agency\n{rows}")
    given = ["import", "xroad", *arguments, "--against", str(register)]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_members_are_compared_with_a_register(tmp_path: Path) -> None:
    """Listed members without a row, and rows of unlisted members, are reported as lines and as JSON. A row of a member
    covers its subsystems, and their rows cover the member. Other instances are not compared.
    """
    clients = listed(
        tmp_path / "clients.json",
        "IR/GOV/1",
        "IR/GOV/1/a",
        "IR/GOV/2",
        "IR/GOV/2/a",
        "IR/GOV/2/b",
        "IR/GOV/3/a",
        "IR/COM/4",
    )
    rows = "IR/GOV/1,customs\nIR/GOV/2/a,customs\nIR/GOV/1/gone,customs\nIR/GOV/9,customs\nEE/GOV/1,customs\n"
    assert compared(tmp_path, rows, clients).splitlines() == [
        "members: 4 listed without a row, 2 rows of what is not listed any more",
        "  + IR/COM/4",
        "  + IR/GOV/2/b",
        "  + IR/GOV/3",
        "  + IR/GOV/3/a",
        "  - IR/GOV/1/gone: customs",
        "  - IR/GOV/9: customs",
        "not compared: 1 rows of EE, whose clients are not listed",
    ]
    assert json.loads(compared(tmp_path, rows, clients, "--json")) == {
        "members": {
            "added": ["IR/COM/4", "IR/GOV/2/b", "IR/GOV/3", "IR/GOV/3/a"],
            "removed": ["IR/GOV/1/gone", "IR/GOV/9"],
        },
        "not_compared": ["EE/GOV/1"],
    }


def test_a_register_of_what_is_listed_differs_in_nothing(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """Real lists, in both XML formats, do not differ from the register that is proposed from them."""
    files = [data_file("xroad_listClients_FI_sample.xml"), data_file("xroad_shared-params.xml")]
    write_files(import_xroad(files, EPOCH).files, tmp_path / "proposed")
    arguments = ["import", "xroad", *map(str, files), "--against", str(tmp_path / "proposed")]
    assert CliRunner().invoke(app, arguments).stdout.splitlines() == [
        "members: 0 listed without a row, 0 rows of what is not listed any more"
    ]


def test_services_alone_say_nothing_of_who_is_gone(tmp_path: Path) -> None:
    """A list of services names no clients, so it alone compares nothing. With a list of clients it may add some."""
    methods = tmp_path / "methods.json"
    methods.write_text(json.dumps(METHODS))
    with pytest.raises(InputError) as caught:
        compared(tmp_path, "DEV/ORG/1,customs\n", str(methods))
    assert caught.value.faults[0].reason.startswith("it lists no clients")
    found = compared(tmp_path, "DEV/ORG/1,customs\n", str(methods), listed(tmp_path / "clients", "DEV/ORG/1"))
    assert found.splitlines()[1:] == ["  + DEV/ORG/1234567-8", "  + DEV/ORG/1234567-8/TEST"]


@pytest.mark.parametrize(
    "options",
    [
        ["uk-api-catalogue", "f", "--against", "a"],
        ["xroad", "f", "--against", "a", "--out", "b"],
        ["xroad", "f"],
        ["xroad", "f", "--out", "b", "--json"],
    ],
)
def test_a_comparison_and_an_import_are_two_things(options: list[str]) -> None:
    """Either --out or --against is needed. --against is for X-Road only, and --json for --against only."""
    with pytest.raises(SettingsError, match="--against"):
        CliRunner().invoke(app, ["import", *options], catch_exceptions=False)
