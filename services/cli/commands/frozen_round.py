"""Declares ``peyvand round``, which freezes, verifies, lists and compares rounds of a dataset (docs/rounds.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import LONGEST_WINDOW, check_lines, command_group, read_day_option, read_key_option
from services.core.errors import Fault, InputError, SettingsError
from services.core.texts import plural

app = command_group("Freeze, verify, list and compare rounds.")

Folder = Annotated[Path, typer.Argument(help="Folder of a round.")]


@app.command()
def freeze(
    *,
    name: Annotated[str, typer.Argument(metavar="ID", help="Name of the round, such as 2026-autumn.")],
    archive: Annotated[str, typer.Option(metavar="ADDRESS", help="Dataset of the archive.")],
    key: Annotated[Path, typer.Option("--sign", metavar="FILE", help="Private key that signs the round.")],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day of the round, YYYY-MM-DD.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="First day after the round.")] = "",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of all rounds.")] = Path("rounds"),
    title_en: Annotated[str, typer.Option(help="Title in English.")] = "",
    title_fa: Annotated[str, typer.Option(help="Title in Persian.")] = "",
    register: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Register to use; by default that of the newest published number."),
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the round before; the report then says what changed.")
    ] = None,
    corrects: Annotated[str, typer.Option(metavar="ID", help="Round that this one corrects.")] = "",
    why: Annotated[str, typer.Option(metavar="TEXT", help="Reason for the correction.")] = "",
    provisional: Annotated[
        bool,
        typer.Option("--provisional", help="Also take days that are not sealed; by default the newest day alone."),
    ] = False,
) -> None:
    """Freeze a round into a folder that stands alone.

    The folder holds evidence, register, numbers and reports. The same evidence gives the same bytes. A frozen round is
    never changed.
    """
    from services.cli.rounds.freeze import RoundRequest, freeze, newest_day
    from services.dataset.log import LOG, SigningKey

    check_lines({"--title-en": title_en, "--title-fa": title_fa, "--why": why})
    if provisional and not (first or last):
        begin, end = newest_day(archive)
    else:
        begin, end = read_day_option("--from", first), read_day_option("--to", last)
    if (end - begin).days > LONGEST_WINDOW:
        raise SettingsError(f"a round from {begin} to {end} is longer than {LONGEST_WINDOW} days")
    request = RoundRequest(
        id=name,
        first=begin,
        last=end,
        title_en=title_en,
        title_fa=title_fa,
        register=register,
        provisional=provisional,
        corrects=corrects,
        why=why,
        previous=previous,
    )
    folder = freeze(archive, out, SigningKey.read(key, LOG), request)
    typer.echo(f"{folder} is frozen; `peyvand round verify {folder}` verifies it")


@app.command()
def verify(
    folder: Folder,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="Public key, as its owner published it, or a file with it.")
    ] = "",
    engine: Annotated[str, typer.Option(help="Where days are counted.", metavar="local|dask://HOST:PORT")] = "local",
) -> None:
    """Verify a round from its folder alone.

    Hashes, signature and proofs are checked, and every number is computed again. The reports are typeset again if the tools
    are those of the round. The command says what was not made again.
    """
    from services.cli.render.frozen_rounds import written_end
    from services.cli.rounds.verify import verify_round
    from services.scorer.archived import engine_at

    verified = verify_round(folder, read_key_option(key) if key else None, engine=engine_at(engine))
    if verified.faults:
        raise InputError(f"the round {folder}", verified.faults)
    frozen = verified.frozen
    typer.echo(
        f"{folder} is whole: {plural(frozen.window_days, 'day')} up to {written_end(frozen)}, register {frozen.register_version[:12]}"
    )
    if verified.computed:
        typer.echo("every number was computed again")
    for sentence in verified.unchecked:
        typer.echo(sentence)
    if not key:
        typer.echo(
            f"it is signed by {frozen.key}: compare that with the key that its owner publishes, or name one with --key"
        )


@app.command("list")
def list_rounds(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of all rounds.")] = Path("rounds"),
) -> None:
    """List the rounds in a folder, in the order of their ends."""
    from services.cli.render.format import new_console
    from services.cli.render.frozen_rounds import rounds_table
    from services.cli.rounds.reading import round_in
    from services.dataset.storage import LocalStorage

    # A freeze that was killed leaves a folder whose name begins with a dot.
    folders = sorted(path.parent for path in out.glob("[!.]*/round.json"))
    if not folders:
        raise SettingsError(f"{out} holds no round: name the folder of all rounds")
    new_console().print(rounds_table([round_in(LocalStorage(folder)) for folder in folders]))


@app.command()
def compare(before: Folder, now: Folder) -> None:
    """Show what changed between two rounds.

    Changes beyond chance and changes of the register are listed separately.
    """
    from services.cli.render.format import new_console
    from services.cli.render.frozen_rounds import moves_table
    from services.cli.rounds.compare import compare
    from services.cli.rounds.reading import read_bands, read_indicators, register_in, round_in
    from services.dataset.storage import LocalStorage
    from services.register.versions import diff_registers

    one, other = LocalStorage(before), LocalStorage(now)
    if faults := [
        Fault(str(folder), 0, 0, "it holds no round")
        for folder in (before, now)
        if not (folder / "round.json").is_file()
    ]:
        raise InputError("the comparison", faults)
    former, later = round_in(one), round_in(other)
    moves = compare(former.id, read_indicators(one), read_indicators(other), read_bands(one), read_bands(other))
    difference = diff_registers(register_in(one, former), register_in(other, later))
    changed = former.register_version != later.register_version
    new_console().print(moves_table(former, later, moves, list(difference.lines()) if changed else []))
