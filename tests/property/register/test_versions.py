"""Each of a register's two hashes covers its own part of the content."""

from __future__ import annotations

import csv
import io
import random
import tempfile
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.register import Register
from services.register.directory.load import load_register
from tests.support.registers import register_files, write_register

_TABLES = ("agencies.csv", "services.csv", "links.csv", "endpoints.csv")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Register:
    """Return the register as it is written."""
    return load_register(write_register(tmp_path_factory.mktemp("register")))


def shuffled(text: str, chance: random.Random) -> str:
    """Return the same table with rows and columns in another order, cells padded, more quotes and blank lines."""
    rows = list(csv.reader(io.StringIO(text)))
    columns = list(range(len(rows[0])))
    chance.shuffle(columns)
    body = rows[1:]
    chance.shuffle(body)
    written = io.StringIO()
    quoting: Literal[0, 1] = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(written, lineterminator=chance.choice(("\n", "\r\n")), quoting=quoting)
    for row in (rows[0], *body):
        writer.writerow([" " * chance.randrange(3) + row[column] + " " * chance.randrange(3) for column in columns])
        if chance.random() < 0.2:
            written.write("\n")
    return written.getvalue()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_order_and_white_space_change_nothing(original: Register, seed: int) -> None:
    """Rows, columns, padding, quotes, blank lines and line ends change neither hash nor anything else."""
    chance = random.Random(seed)
    files = register_files()
    for name in _TABLES:
        files[name] = shuffled(files[name], chance)
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            (Path(directory) / name).write_text(content, encoding="utf-8", newline="")
        assert load_register(Path(directory)) == original


@pytest.mark.parametrize(
    ("file", "change", "covered"),
    [
        ("agencies_csv", ("Customs", "Custom"), (True, False)),
        ("services_csv", ("مالکیت,unified,2", "مالکیت,unified,3"), (True, False)),
        ("links_csv", ("liens", "debts"), (True, False)),
        ("links_csv", (",2026-01-01,inquiry", ",2026-01-02,inquiry"), (True, False)),
        ("links_csv", (",0.99,2", ",0.99,4"), (True, False)),
        ("links_csv", (",0.99,2", ",0.98,2"), (False, True)),
        ("links_csv", (",500,", ",600,"), (False, True)),
        ("links_csv", ("0000000002", "0000000003"), (False, True)),
        ("links_csv", ("/tax/status", "/tax/state"), (False, True)),
        ("endpoints_csv", ("/portal", "/door"), (False, True)),
        ("probes_yaml", ("1MiB", "2MiB"), (False, True)),
        ("policy_yaml", ("127.0.0.0/8", "10.0.0.0/8"), (False, True)),
        ("policy_yaml", ("grace_hours: 24", "# grace\ngrace_hours:   24"), (False, False)),
    ],
)
def test_each_hash_covers_its_part(
    original: Register, tmp_path: Path, file: str, change: tuple[str, str], covered: tuple[bool, bool]
) -> None:
    """The denominator's hash changes only with the denominator, the other one with everything else."""
    files: dict[str, Any] = {file: change}
    changed = load_register(write_register(tmp_path, **files))
    changes = (
        changed.register_version != original.register_version,
        changed.probe_version != original.probe_version,
    )
    assert changes == covered
