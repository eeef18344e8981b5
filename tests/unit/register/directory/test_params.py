"""Params of links and endpoints may be several test records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.register import Register
from services.register.directory.load import load_register
from services.register.versions.rows import from_rows, to_rows
from tests.support.registers import PROBES, write_register

_TALK = """
talk:
  kind: tcp
  lines: [{send: "${who}"}]
"""


def _with(tmp_path: Path, params: object, target: str = "tcp://${host}:25") -> Register:
    """Load a register with one more endpoint that has these params."""
    cell = json.dumps(params).replace('"', '""')
    directory = write_register(tmp_path, probes_yaml=PROBES + _TALK)
    with (directory / "endpoints.csv").open("a", encoding="utf-8") as file:
        file.write(f'talk,tax-office,,talk,{target},"{cell}",\n')
    return load_register(directory)


def _faults(tmp_path: Path, params: object, target: str = "tcp://${host}:25") -> list[str]:
    with pytest.raises(InputError) as refused:
        _with(tmp_path, params, target)
    return [fault.reason for fault in refused.value.faults]


def test_a_list_is_several_records(tmp_path: Path) -> None:
    """A list of objects keeps its order, changes the probe version, and survives a round trip through rows."""
    one, two = {"who": "a", "host": "h"}, {"who": "b", "host": "h"}
    single, several = _with(tmp_path / "1", one), _with(tmp_path / "2", [one, two])
    assert several.endpoints["talk"].params == (one, two)
    assert from_rows([to_rows(several)]).endpoints == several.endpoints
    assert single.probe_version != several.probe_version
    assert single.register_version == several.register_version


def test_a_list_of_one_record_is_that_record(tmp_path: Path) -> None:
    """A single record may be written with or without a list around it."""
    one = {"who": "a", "host": "h"}
    single, listed = _with(tmp_path / "1", one), _with(tmp_path / "2", [one])
    assert single.probe_version == listed.probe_version
    assert from_rows([to_rows(single)]).endpoints == listed.endpoints


@pytest.mark.parametrize("params", [[], [{"who": "a", "host": "h"}, 1], [[]], "a", 1, None])
def test_what_is_no_record(tmp_path: Path, params: object) -> None:
    """An empty list is refused, and so is a list with anything but objects."""
    assert _faults(tmp_path, params) == ["params: is neither a JSON object nor a list of them"]


def test_faults_name_the_record(tmp_path: Path) -> None:
    """A fault of one record names its number. A fault of all records is reported once."""
    records = [{"who": "a", "host": "h"}, {"who": "a\nb", "host": "h"}, {"host": "h"}]
    assert _faults(tmp_path, records) == [
        "record 2: params: they put a line break into a line to send",
        "record 3: params: `who` is missing, but the target or probe contains `${who}`",
    ]
    assert len(_faults(tmp_path, records[:1] * 2, "http://${host}/")) == 1
