"""Declares arguments and options that several commands share.

Modules of this package declare commands: they import nothing heavy until a command runs, so that ``--help`` is quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.core.errors import SettingsError, reason_of

if TYPE_CHECKING:
    from services.dataset.log import VerifierKey

API = "127.0.0.1:7410"

KINDS = ("government", "sector", "consumer", "provider", "service", "link", "endpoint")
"""The labels of Kind, whose own module imports numpy."""


def command_group(summary: str, epilog: str | None = None) -> typer.Typer:
    """Return an empty group of commands with plain help, quick to print and without boxes that squeeze the text."""
    return typer.Typer(
        help=summary,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"default_map": {"help": False}},  # typer imports pydantic for a flag that is None
    )


def check_kind(text: str) -> str:
    """Return the label of a kind in lower case; "" stays. Raises BadParameter for anything else."""
    if text and text.lower() not in KINDS:
        raise typer.BadParameter(f"`{text}` is no kind: name one of {', '.join(KINDS)}")
    return text.lower()


def check_choice(option: str, text: str, choices: Sequence[str]) -> None:
    """Raise SettingsError where an option is none of its choices; the error does not name the choice ""."""
    if text not in choices:
        raise SettingsError(f"{option} {text}: name one of {', '.join(filter(None, choices))}")


_LONGEST_LINE = 200


def check_lines(texts: Mapping[str, str]) -> None:
    """Raise SettingsError where the text of an option is not one line for people to read."""
    for option, text in texts.items():
        if len(text) > _LONGEST_LINE or not text.isprintable():
            raise SettingsError(f"{option} takes one line of at most {_LONGEST_LINE} characters")


def read_day_option(option: str, text: str) -> date:
    """Return the day that an option names. Raises BadParameter where that is no day, written YYYY-MM-DD."""
    from services.register.reading import read_day

    try:
        return read_day(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def read_key_option(text: str) -> VerifierKey:
    """Return the public key in a text or in the file that it names; a text without plus signs is no key.

    Raises BadParameter for any other text, and SettingsError for a file that cannot be read.
    """
    from services.dataset.log import VerifierKey

    try:
        content = text if "+" in text and not Path(text).is_file() else Path(text).read_text("utf-8")
        return VerifierKey.parse(content.strip())
    except OSError as error:
        raise SettingsError(f"the key {text} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no public key: {reason_of(error)}", param_hint="--key") from error


EntityKind = Annotated[
    str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.", show_default=False, callback=check_kind)
]
EntityId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the entity; none for government.", show_default=False)
]
LONGEST_WINDOW = 3660
"""Days of the longest window: ten years, the most that a policy may have."""

Window = Annotated[
    int, typer.Option(min=0, max=LONGEST_WINDOW, help="Length of the window in days; 0: the policy's default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line, as protobuf maps it.")]
Address = Annotated[
    str, typer.Option("--api", metavar="HOST:PORT", help="Address of the api; tls://HOST:PORT if it uses TLS.")
]
Nats = Annotated[str, typer.Option(help="URL of the message bus.")]
Credentials = Annotated[str, typer.Option(help="Folder with the nkey seeds of the roles.")]
