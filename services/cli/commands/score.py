"""Declares ``peyvand score``, the index from measurements in files, and ``peyvand dump``, the streams as such files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import LONGEST_WINDOW, Credentials, Nats
from services.core.errors import SettingsError


def score(
    *,
    register: Annotated[Path | None, typer.Option(help="Register directory to score by.", metavar="DIR")] = None,
    measurements: Annotated[
        list[Path] | None, typer.Option(help="Measurements as JSON lines; may be repeated.", metavar="FILE")
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="Dataset in place of the files; its own register is used.", metavar="ADDRESS")
    ] = None,
    exchanges: Annotated[
        list[Path] | None, typer.Option(help="Exchange summaries as JSON lines; may be repeated.", metavar="FILE")
    ] = None,
    files: Annotated[list[Path] | None, typer.Argument(help="More files of measurements.", metavar="FILE…")] = None,
    window: Annotated[
        int | None,
        typer.Option(min=1, max=LONGEST_WINDOW, help="Length of the window in days; by default the policy's."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Count whole slots that end by this time; by default all measured.", metavar="TIME"),
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(min=0, help="Count messages up to this evidence_sequence.", metavar="N")
    ] = None,
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="Show how choices of method move the ranks of agencies, with rank bands."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="With --archive: count measurements, not the days as they were sealed.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="With --archive: compare with the published numbers; fail if any differs.")
    ] = False,
    method: Annotated[
        str,
        typer.Option(help="With --archive: method to compute by, if it was published by another.", metavar="VERSION"),
    ] = "",
    engine: Annotated[
        str, typer.Option(help="With --archive: where days are counted.", metavar="local|dask://HOST:PORT")
    ] = "local",
    structure: Annotated[
        bool, typer.Option("--structure", help="Show how the agencies are connected, instead of the index.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one Indicator (or Structure) per line, as JSON, for all windows.")
    ] = False,
) -> None:
    """Score measurements offline, as auditors do.

    Measurements come from files, or from the dataset of an archive. Files with any fault are refused whole. Of dumped
    measurements, those count that the scorer accepted. With the register, as_of (--at) and evidence_sequence (--sequence)
    of a published Indicator, all of its numbers are the same to the last bit.

    With --sensitivity, the command shows ranks and rank bands of all agencies in one window, and which choices move them.
    --json then prints that window's Indicators, with rank_band set, and one line with the Sensitivity after them.
    """
    from services.cli.offline_scores import Question, Rescoring, score_dataset, score_files

    if structure and sensitivity:
        raise SettingsError("--structure and --sensitivity cannot be used together")
    question = Question(window, structure, sensitivity, as_json)
    given = [*(measurements or []), *(files or [])]
    if archive is not None:
        if given or exchanges:
            raise SettingsError("--archive and files of evidence cannot be used together")
        rescoring = Rescoring(method, engine, again=again, compare=compare)
        score_dataset(archive, register, question, rescoring, at=at or "", sequence=sequence)
        return
    if register is None or not given:
        raise SettingsError(
            "name the evidence: --register and --measurements, or the dataset of an archive with --archive"
        )
    if again or compare or method or engine != "local":
        raise SettingsError("--again, --compare, --method and --engine need a dataset: name it with --archive")
    score_files(register, given, exchanges or [], question, at=at or "", sequence=sequence)


def dump(
    *,
    what: Annotated[str, typer.Argument(help="Stream to print.", metavar="measurements|exchanges")],
    since: Annotated[
        str | None, typer.Option("--from", help="Only slots that start at this time or later.", metavar="TIME")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Only slots that start before this time.", metavar="TIME")
    ] = None,
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Print a stream as JSON lines, for `peyvand score`.

    It begins with the first message, and ends with the one that is the last when the command starts.
    """
    import asyncio

    from services.cli.connections import bus_settings
    from services.cli.evidence_files import print_stream

    asyncio.run(print_stream(what, bus_settings(nats, credentials), since=since or "", until=until or ""))
