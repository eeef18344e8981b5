"""Missing, misspelt and unreadable files of a register directory are faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory.load import load_register
from tests.support.cases.registers.faults import faults
from tests.support.registers import write_register


def test_tables_that_are_not_tables(tmp_path: Path) -> None:
    """Wrong row lengths, wrong columns and open quotes are faults. A broken file causes no further ones."""
    directory = write_register(
        tmp_path,
        agencies_csv="id,name_en,name_fa,sector,staf,id\nx,X,,s,,\n",
        services_csv=("title-deed,land-registry,Title deed,", 'title-deed,land-registry,"Title ""deed"" x" y,'),
        links_csv="id,service,provider,data_item,live_from\na,title-deed,tax-office,x,\nb,\nc,title-deed,tax-office,y,,,\n",
        endpoints_csv='id,agency,probe,target\n"bus",civil-registry,page,"http://h\n',
    )
    assert faults(directory) == [
        "agencies.csv:1:27: column `staf` is unknown; known are id, sector, name_en, name_fa, staff, satisfaction, until, merged_into",
        "agencies.csv:1:32: column `id` is there twice",
        "endpoints.csv:2:27: a quote opens here and never closes",
        "links.csv:3:1: the row has 2 cells where the header has 5",
        "links.csv:4:28: the row has 7 cells where the header has 5",
        "services.csv:3:45: text follows the closing quote",
    ]


def test_a_missing_file(tmp_path: Path) -> None:
    """Only the missing file is reported, not everything that refers to it."""
    assert faults(write_register(tmp_path, agencies_csv=None)) == ["agencies.csv: the file is missing"]


def test_names_in_neither_language(tmp_path: Path) -> None:
    """A table without any column of names has one fault, at its header."""
    directory = write_register(
        tmp_path,
        agencies_csv="id,sector\nland-registry,justice\n",
        services_csv="id,agency\ntitle-deed,land-registry\n",
    )
    missing = "columns `name_en` and `name_fa` are missing: one of them must be given"
    assert [fault for fault in faults(directory) if "name_en" in fault] == [
        f"agencies.csv:1:1: {missing}",
        f"services.csv:1:1: {missing}",
    ]


def test_a_missing_column(tmp_path: Path) -> None:
    """A missing column is one fault at the header. Its rows add no more."""
    directory = write_register(tmp_path, agencies_csv=(",sector", ",section"))
    assert faults(directory) == [
        "agencies.csv:1:1: column `sector` is missing",
        "agencies.csv:1:20: column `section` is unknown; known are id, sector, name_en, name_fa, staff, satisfaction, until, merged_into",
    ]


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    """The first byte that is not UTF-8 is named with its line and column."""
    directory = write_register(tmp_path)
    (directory / "services.csv").write_bytes("id,agency\nگمرک,".encode() + b"\xe3\xe4\n")
    assert faults(directory) == ["services.csv:2:6: byte 0xe3 is not UTF-8: save the file as UTF-8"]


def test_yaml_that_is_not_yaml(tmp_path: Path) -> None:
    """A syntax error is reported where the parser met it."""
    assert faults(write_register(tmp_path, probes_yaml="inquiry:\n  kind: http\n bad\n")) == [
        "probes.yaml:3:2: not YAML: expected <block end>, but found '<scalar>'"
    ]


def test_columns_after_a_cell_of_many_lines(tmp_path: Path) -> None:
    """Lines and columns are those of the file, even after a quoted cell that spans lines."""
    endpoints = (
        'id,agency,probe,target,params\nbus,civil-registry,page,http://h/,"{\n}"\nx,"civil\nregistry",page,mailto:x,\n'
    )
    assert faults(write_register(tmp_path, endpoints_csv=endpoints)) == [
        "endpoints.csv:4:3: agency: `civil\nregistry` is not in agencies.csv",
        "endpoints.csv:5:16: target: `mailto:x` does not begin with http:// or https://",
    ]


def test_no_directory(tmp_path: Path) -> None:
    """A path that is not a directory is a fault."""
    with pytest.raises(InputError, match="1 fault") as refused:
        load_register(tmp_path / "none")
    assert refused.value.report().startswith(f"{tmp_path}/none: there is no such directory")


def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """A path that the system refuses to look at is a fault, with the system's reason."""
    with pytest.raises(InputError, match="1 fault") as refused:
        load_register(tmp_path / ("x" * 300))
    assert "x: the directory cannot be read: File name too long" in refused.value.report()


def test_a_misspelt_optional_file(tmp_path: Path) -> None:
    """A misspelt name of an optional file is a fault."""
    directory = write_register(tmp_path, maintainance_csv="subject,from,to,note\n")
    assert faults(directory) == ["maintainance.csv: no such file is read: is it meant to be maintenance.csv?"]
