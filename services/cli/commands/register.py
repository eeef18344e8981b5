"""Declares ``peyvand register``, which checks, publishes, compares and imports registers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands.options import Credentials, Nats, check_lines, command_group
from services.core.errors import Fault, InputError, SettingsError

app = command_group("Check, compare, import and publish registers.")

IMPORTED = ("endpoints", "uk-api-catalogue", "xroad")
"""Sources that can be imported: the keys of services.register.discovery.IMPORTERS."""


Directory = Annotated[Path, typer.Argument(help="A register directory.")]


@app.command()
def check(
    directory: Directory,
    old: Annotated[Path | None, typer.Option("--against", help="The register that this one replaces.")] = None,
) -> None:
    """Check a register, and list every fault.

    Warnings do not change the exit code.
    """
    import time

    from services.cli.render.register import epoch_note, register_summary, unmeasured_note
    from services.register.directory import load_register, read_directory
    from services.register.versions import check_succession

    reading, now = read_directory(directory), time.time()
    warnings = [*map(str, reading.warnings), epoch_note(reading.register, now)]
    if old is not None:
        before = load_register(old)
        if faults := check_succession(reading.register, reading.locations, before):
            raise InputError(f"register {directory} as the successor of {old}", faults)
        warnings.append(unmeasured_note(reading.register, before, now))
    for warning in filter(None, warnings):
        typer.echo(warning, err=True)
    typer.echo(f"register {directory} is good: {register_summary(reading.register)}")


@app.command()
def publish(
    directory: Directory,
    watch: Annotated[bool, typer.Option("--watch", help="Keep running, and publish when the files change.")] = False,
    by: Annotated[str, typer.Option(help="Who publishes it; kept with the version.")] = "",
    reason: Annotated[str, typer.Option(help="Why it is published; kept with the version.")] = "",
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Put a register in force."""
    import asyncio

    from services.cli.connections import bus_settings
    from services.cli.register_publisher import run

    if watch and (by or reason):
        raise SettingsError("--by and --reason cannot be used with --watch: they describe a single publication")
    check_lines({"--by": by, "--reason": reason})
    asyncio.run(run(directory, bus_settings(nats, credentials), watch=watch, by=by, why=reason))


@app.command()
def log(nats: Nats = "", credentials: Credentials = "") -> None:
    """Show who put which register in force, when and why."""
    from services.cli.connections import run_on_bus
    from services.cli.render.format import new_console
    from services.cli.render.register import publication_table
    from services.register.bus import read_publications

    publications = run_on_bus(read_publications, nats, credentials, role="register", name="register")
    new_console().print(publication_table(publications))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help="The older register directory.")],
    new: Annotated[Path, typer.Argument(metavar="B", help="The newer register directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how two registers differ, with the size of each."""
    from services.register.directory import load_register
    from services.register.versions import diff_registers

    _print_difference(diff_registers(load_register(old), load_register(new)), as_json=as_json)


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(IMPORTED)}.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…|URL…", help="The list, the catalogue, or X-Road's lists.")
    ],
    out: Annotated[Path | None, typer.Option(help="The new register directory.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=NAME", help="With endpoints: the column that holds the target, the agency or the sector."
        ),
    ] = None,
    epoch: Annotated[str, typer.Option(help="First day of the new register; today by default.")] = "",
    against: Annotated[
        Path | None, typer.Option(help="With xroad: a register whose members.csv is compared; nothing is written.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(help="Certificates (PEM) that are trusted for URLs, instead of the system's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --against: print JSON.")] = False,
) -> None:
    """Make a register from a list, a catalogue or X-Road's lists.

    Entries that are left out are listed with the reason. With --against, the lists are compared with an existing
    register, and nothing is written.
    """
    from services.cli.remote_lists import local_files
    from services.cli.render.register import register_summary
    from services.register.directory import load_register
    from services.register.discovery import IMPORTERS, write_files

    importer = IMPORTERS.get(kind)
    if importer is None:
        raise SettingsError(f"there is no importer `{kind}`: use {', '.join(IMPORTERS)}")
    if against is not None:
        if kind != "xroad" or out is not None:
            raise SettingsError(
                "--against compares what `xroad` lists and writes nothing: give neither --out nor another kind"
            )
        with local_files(files, authority) as paths:
            _compare(paths, against, as_json=as_json)
        return
    if out is None or as_json:
        raise SettingsError("an import needs --out, the new register directory, and --json goes with --against alone")
    with local_files(files, authority) as paths:
        imported = importer(paths, _epoch(epoch), _columns(column or []))
    write_files(imported.files, out)
    for entry in imported.left_out:
        typer.echo(entry)
    summary = register_summary(load_register(out))
    typer.echo(f"register {out} is written, {len(imported.left_out)} entries left out: {summary}")


def _compare(files: list[Path], old: Path, *, as_json: bool) -> None:
    """Print how members.csv of a register differs from the lists of X-Road."""
    from services.register.directory import load_register
    from services.register.discovery import compare_members, read_lists

    directory = read_lists(files)
    if not directory.instances:
        reason = "it lists no clients: name an answer of listClients, or shared-params.xml"
        raise InputError("the comparison with X-Road", [Fault(str(file), 0, 0, reason) for file in files])
    _print_difference(compare_members(directory, load_register(old).members), as_json=as_json)


def _print_difference(difference: Any, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(difference.to_json(), ensure_ascii=False, indent=2))
    else:
        for line in difference.lines():
            typer.echo(line)


def _columns(given: list[str]) -> dict[str, str]:
    columns = {}
    for text in given:
        what, equals, name = text.partition("=")
        if not (what and equals):
            raise SettingsError(f"--column {text}: write what the column holds and its name, such as target=domain")
        columns[what.strip()] = name.strip()
    return columns


def _epoch(text: str) -> date:
    from services.register.reading import read_day

    try:
        return read_day(text) if text else datetime.now(UTC).date()
    except ValueError as error:
        raise SettingsError(f"--epoch: {error}") from error
