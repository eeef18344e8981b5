"""Texts of definitions and params must fit HTTP headers and X-Road message headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory.load import load_register
from tests.support.registers import PROBES, write_register

_ENVELOPE = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>'
_DEFINITIONS = {
    "http": 'headers: {X-Who: "${a}"}',
    "soap": f"action: 'urn:${{a}}'\n  body: '{_ENVELOPE}'",
    "xroad-rest": 'client: IR/GOV/${a}\n  user_id: "${b}"',
    "xroad-soap": 'client: IR/GOV/1\n  service: IR/GOV/${a}/ask\n  user_id: "${b}"\n  body: <ask/>',
}


def _faults(tmp_path: Path, definition: str, params: dict[str, str]) -> list[str]:
    """Return the faults of a register with an added endpoint that has this definition and these params."""
    directory = write_register(tmp_path, probes_yaml=f"{PROBES}asked:\n  {definition}\n")
    cell = json.dumps(params).replace('"', '""')
    with (directory / "endpoints.csv").open("a", encoding="utf-8") as file:
        file.write(f'asked,tax-office,,asked,http://tax.example/,"{cell}",\n')
    try:
        load_register(directory)
    except InputError as error:
        return [fault.reason for fault in error.faults]
    return []


@pytest.mark.parametrize("kind", _DEFINITIONS)
def test_names_in_any_letters(kind: str, tmp_path: Path) -> None:
    """Persian names with their joiners are accepted wherever a text is."""
    named = {"a": "ثبت\u200cاحوال", "b": "علی رضایی"}
    assert _faults(tmp_path, f"kind: {kind}\n  {_DEFINITIONS[kind]}", named) == []


@pytest.mark.parametrize(
    ("kind", "params", "faults"),
    [
        ("http", {"a": "a\nb"}, ["params: they put a control character into header `X-Who`"]),
        ("soap", {"a": "a\u2028b"}, ["params: they put a control character into `action`"]),
        ("soap", {"a": 'a"b'}, ["params: they put a quote or a backslash into `action`"]),
        ("xroad-rest", {"a": "1", "b": "a\r\nb"}, ["params: they put a control character into `user_id`"]),
        ("xroad-rest", {"a": " ", "b": "b"}, ["params: they leave a part of `client` empty"]),
        ("xroad-soap", {"a": "", "b": "b"}, ["params: they leave a part of `service` empty"]),
        ("xroad-soap", {"a": "1\u0001", "b": "b"}, ["params: they put a control character into `service`"]),
    ],
)
def test_params_that_no_header_can_hold(kind: str, params: dict[str, str], faults: list[str], tmp_path: Path) -> None:
    """Params that cannot be sent, or that leave a required part empty, are a fault of their row."""
    assert _faults(tmp_path, f"kind: {kind}\n  {_DEFINITIONS[kind]}", params) == faults


@pytest.mark.parametrize("key", ["client", "user_id"])
def test_definitions_that_no_header_can_hold(key: str, tmp_path: Path) -> None:
    """A control character in a definition is a fault of its own key."""
    written = {"client": "IR/GOV/1", "user_id": "one"} | {key: '"IR/GOV/1\\n2"'}
    definition = "kind: xroad-rest\n" + "\n".join(f"  {name}: {text}" for name, text in written.items())
    assert _faults(tmp_path, definition, {}) == [f"{key}: holds a control character"]
