"""``peyvand register``: its output and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.commands import register as register_commands
from services.cli.commands.register import app
from services.core.bus.roles import write_users
from services.core.errors import BusError, InputError, SettingsError
from tests.support.registers import EVALUATION, write_register


def test_check_summarises_a_register(tmp_path: Path) -> None:
    """A good register is summarised with its counts and versions."""
    result = CliRunner().invoke(app, ["check", str(write_register(tmp_path))])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == (
        f"register {tmp_path} is good: 4 agencies in 2 sectors, 5 services, 8 links (1 absent), 2 endpoints, 2 probes, 2 vantages"
    )
    assert result.stdout.splitlines()[1].startswith("register_version ")
    write_register(tmp_path, evaluation_rounds_yaml=EVALUATION)
    assert "2 vantages, 3 official rounds" in CliRunner().invoke(app, ["check", str(tmp_path)]).stdout


def test_check_refuses_a_bad_successor(tmp_path: Path) -> None:
    """With --against, the check also covers what a register must keep of the old one."""
    old = write_register(tmp_path / "old")
    new = write_register(tmp_path / "new", policy_yaml=("slot_seconds: 300", "slot_seconds: 60"))
    with pytest.raises(InputError, match=r"new as the successor of .*old is refused: 1 fault"):
        CliRunner().invoke(app, ["check", str(new), "--against", str(old)], catch_exceptions=False)


def test_check_tells_what_a_successor_makes_unknown(tmp_path: Path) -> None:
    """An added link without required_from counts from the epoch. The check says how much will be unknown then."""
    old = write_register(tmp_path / "old")
    built = ("customs,liens,,,,,,", "customs,liens,,,always,page,http://a.example/,")
    new = write_register(tmp_path / "new", links_csv=built, policy_yaml=("0.8", "0.95"))
    result = CliRunner().invoke(app, ["check", str(new), "--against", str(old)])
    assert result.exit_code == 0
    assert result.stderr == (
        "1 link would count from days on which nobody measured: transfer-customs. Of the last 28 days at most 91.6 % would be known, "
        "and below 95 % no point is published. Set required_from to the day from which on a link is to count\n"
    )
    assert CliRunner().invoke(app, ["check", str(old), "--against", str(old)]).stderr == ""


def test_an_epoch_to_come_is_told(tmp_path: Path) -> None:
    """Before its epoch a register shows nothing, and the check says so."""
    directory = write_register(tmp_path, policy_yaml=("epoch: 2026-01-01", "epoch: 2199-01-01"))
    result = CliRunner().invoke(app, ["check", str(directory)])
    assert result.exit_code == 0
    assert "nothing counts and nothing is shown before the epoch, 2198-12-31 20:30 UTC, less than " in result.stderr


def test_diff_prints_lines_or_json(tmp_path: Path) -> None:
    """The difference is printed in lines, with --json as one JSON object."""
    old, new = write_register(tmp_path / "old"), write_register(tmp_path / "new", links_csv=("liens", "debts"))
    lines = CliRunner().invoke(app, ["diff", str(old), str(new)]).stdout
    assert '  ~ transfer-customs: data_item "liens" -> "debts"' in lines.splitlines()
    told = json.loads(CliRunner().invoke(app, ["diff", str(old), str(new), "--json"]).stdout)
    assert told["links"]["changed"] == {"transfer-customs": {"data_item": {"old": "liens", "new": "debts"}}}


def test_import_lists_what_it_left_out(tmp_path: Path, data_file: Callable[[str], Path]) -> None:
    """Importing the real catalogue writes a register and lists what has no endpoint of its own."""
    out = tmp_path / "uk"
    arguments = ["import", "uk-api-catalogue", str(data_file("uk_api_catalogue.csv")), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    summary = "44 entries left out: 33 agencies in 9 sectors, 231 services, 0 links (0 absent), 189 endpoints"
    assert f"register {out} is written, {summary}" in result.stdout
    assert ":34: Get into Teaching API: has no URL" in result.stdout
    assert (out / "policy.yaml").exists()


def test_a_list_of_addresses_is_imported_by_its_columns(tmp_path: Path, data_file: Callable[[str], Path]) -> None:
    """A real list becomes a good register, with a line and a reason for each row that is left out."""
    out = tmp_path / "us"
    websites = str(data_file("us_website_directory.csv"))
    result = CliRunner().invoke(app, ["import", "endpoints", websites, "--out", str(out), "--column", "target=domain"])
    assert result.exit_code == 0
    summary = "6 entries left out: 23 agencies in 1 sector, 0 services, 0 links (0 absent), 7,043 endpoints"
    assert f"register {out} is written, {summary}" in result.stdout
    assert f"{websites}:3722: acf.hhs.gov: is the address of line 3720 already" in result.stdout
    assert CliRunner().invoke(app, ["check", str(out)]).exit_code == 0
    with pytest.raises(InputError, match=r"list .* is refused: 1 fault"):
        CliRunner().invoke(app, ["import", "endpoints", websites, "--out", str(out)], catch_exceptions=False)


def test_bad_arguments_are_one_sentence(tmp_path: Path) -> None:
    """An unknown kind of catalogue and a bad epoch are refused by name."""
    with pytest.raises(SettingsError, match="there is no importer `excel`: use endpoints, uk-api-catalogue"):
        CliRunner().invoke(app, ["import", "excel", "f", "--out", str(tmp_path)], catch_exceptions=False)
    arguments = ["import", "uk-api-catalogue", "f", "--out", str(tmp_path), "--epoch", "soon"]
    with pytest.raises(SettingsError, match="--epoch: `soon` is not a date"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_publishing_without_a_bus_ends(tmp_path: Path, port: Callable[[], int]) -> None:
    """Without a bus the command gives up soon, and names the bus."""
    write_users(tmp_path / "credentials")
    url = f"nats://127.0.0.1:{port()}"
    directory = write_register(tmp_path / "register")
    arguments = ["publish", str(directory), "--nats", url, "--credentials", str(tmp_path / "credentials")]
    with pytest.raises(BusError, match=f"nothing answered as a bus at {url} within 3 s"):
        CliRunner().invoke(register_commands.app, arguments, catch_exceptions=False)


def test_publishing_a_bad_register_needs_no_bus(tmp_path: Path) -> None:
    """A bad register is refused with its faults before credentials are read or the bus is connected."""
    directory = write_register(tmp_path, policy_yaml=("slot_seconds: 300", "slot_seconds: 0"))
    with pytest.raises(InputError) as refused:
        CliRunner().invoke(register_commands.app, ["publish", str(directory)], catch_exceptions=False)
    assert [fault.reason for fault in refused.value.faults] == ["slot_seconds: `0` is not above 0"]
