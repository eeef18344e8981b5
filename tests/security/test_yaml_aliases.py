"""Aliases of YAML, by which a short file stands for a long one, keep nobody who reads a register waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.register.directory.load import load_register
from tests.support.forked import run
from tests.support.registers import write_register

_HUNDREDS = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 11))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a0: &a0 [{', '.join('x' * 10)}]\n{_HUNDREDS}", "4:45: not YAML we can use: with this alias more than 10000"),
        ("page: &page {kind: http, headers: {X-Page: *page}}\n", "1:44: not YAML we can use: an alias stands within"),
    ],
    ids=["nested", "endless"],
)
def test_aliases_that_would_be_read_for_ever(tmp_path: Path, text: str, said: str) -> None:
    """600 bytes of aliases that stand for 10**11 values, or one within itself, are a fault with its place."""
    directory = write_register(tmp_path, probes_yaml=text)
    done = run("services.cli", "register", "check", directory)
    assert done.returncode == 1
    assert f"{directory}/probes.yaml:{said}" in done.stderr


def test_values_that_are_repeated_by_hand(tmp_path: Path) -> None:
    """What is written once and repeated by an alias is read as if it were written again."""
    probes = """\
inquiry: {kind: http, headers: &headers {Accept: application/json}}
page: {kind: http, headers: *headers}
"""
    register = load_register(write_register(tmp_path, probes_yaml=probes))
    assert register.probes["page"].headers == register.probes["inquiry"].headers == {"Accept": "application/json"}
