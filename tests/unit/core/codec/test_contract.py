"""Packages of the code that clients generate from the contract; buf holds the rest of the contract."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

FILES = sorted((ROOT / "proto" / "peyvand" / "v1").glob("*.proto"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_generated_code_stays_in_its_package(file):
    """Every file names a Go package that any module may hold, and the Java package that was the default before."""
    options = dict(re.findall(r'^option (\w+) = "(.*)";$', file.read_text("utf-8"), re.MULTILINE))
    assert options == {"go_package": "peyvand/v1;peyvandv1", "java_package": "peyvand.v1"}
