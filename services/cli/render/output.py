"""How commands print: tables on a console for people, messages as JSON for programs."""

from __future__ import annotations

import json
from typing import Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console

__all__ = ["new_console", "print_message"]


def new_console() -> Console:
    """Return a console on stdout that colours nothing by itself."""
    return Console(highlight=False)


def print_message(message: Message, **more: Message | None) -> None:
    """Print a message as one line of JSON, its fields named as in the contract.

    ``more`` are fields beside its own; those that are None are left out.
    """
    fields = _fields(message) | {name: _fields(other) for name, other in more.items() if other is not None}
    typer.echo(json.dumps(fields, ensure_ascii=False))


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
