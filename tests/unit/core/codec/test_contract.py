"""Where code that clients generate of the contract lies; buf holds the rest of the contract."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

FILES = sorted((ROOT / "proto" / "peyvand" / "v1").glob("*.proto"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_generated_code_stays_in_its_package(file):
    """Every file names the package of Go, which any module may hold, and that of Java, which it had before it was named."""
    options = dict(re.findall(r'^option (\w+) = "(.*)";$', file.read_text("utf-8"), re.MULTILINE))
    assert options == {"go_package": "peyvand/v1;peyvandv1", "java_package": "peyvand.v1"}
