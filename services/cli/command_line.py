"""The commands of ``peyvand``; an error is one sentence on stderr and exit code 1."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from typing import Annotated

import typer

from services.cli.commands import archive, bus, finding, frozen_round, opendata, register
from services.cli.commands.ask import explain, history, indicator
from services.cli.commands.exchange import exchange
from services.cli.commands.findings import findings
from services.cli.commands.options import command_group
from services.cli.commands.probe import probe
from services.cli.commands.score import dump, score
from services.cli.commands.structure import rounds, structure, tabulate
from services.cli.commands.up import up
from services.cli.components import COMPONENTS
from services.core.errors import InputError, PeyvandError

_ALLOCATIONS_PER_COLLECTION = 50_000
"""Commands keep most objects until they end: garbage collection every 700 objects takes a twentieth of their time."""

_NOT_WRITTEN = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing to a pipe, to a file or to a terminal fails with when nothing is wrong with the command."""

app = command_group(
    "Of every 100 inquiries the law requires one agency to make of another, how many would have been answered?",
    epilog=f"Components, run one by one: {', '.join(COMPONENTS)} (flags: `peyvand prober --help`)",
)
for command in (up, probe, score, dump, exchange, findings, indicator, explain, structure, tabulate, rounds, history):
    app.command()(command)
app.add_typer(register.app, name="register")
app.add_typer(archive.app, name="archive")
app.add_typer(finding.app, name="finding")
app.add_typer(frozen_round.app, name="round")
app.add_typer(opendata.app, name="opendata")
app.add_typer(bus.app, name="bus")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version  # noqa: PLC0415  # nothing else needs it

        typer.echo(version("peyvand"))
        raise typer.Exit


@app.callback()
def _peyvand(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options of ``peyvand`` itself."""


def run() -> None:
    """Run the command that the command line names. Raises SystemExit."""
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # otherwise gRPC reports failed handshakes to stderr as well
    if isinstance(sys.stdout, io.TextIOWrapper):  # a locale may have no Persian, and no marks of probes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="peyvand")
    except (PeyvandError, OSError, ExceptionGroup) as error:
        _report(error)
        sys.exit(1)


def _report(error: Exception) -> None:
    """Print a failure that a person can do something about. Raises the error if it is another one.

    Commands print within groups of tasks, which raise their failures as a group.
    """
    first: Exception = error
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, OSError) and first.errno in _NOT_WRITTEN:
        # Python would write what is left in the buffer when it ends, and report that this failed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if first.errno != errno.EPIPE:  # the reader of the pipe has seen enough, as `head` has
            print(f"peyvand: {first.filename or 'its output'} cannot be written: {first.strerror}", file=sys.stderr)
    elif isinstance(first, InputError):
        print(first.report(), file=sys.stderr)
    elif isinstance(first, PeyvandError):
        print(f"peyvand: {first}", file=sys.stderr)
    else:
        raise error
