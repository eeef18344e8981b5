"""JSON and YAML that can be parsed but not hashed or published are refused."""

from __future__ import annotations

import pytest

from services.register.faults import FaultList
from services.register.probes.references import read_json_file
from services.register.reading import read_document
from services.register.reading.json_values import check_json_value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (r'{"const": "\ud800"}', "half a character"),
        (r'{"\ud800": 1}', "half a character"),
        ("[" * 61 + "]" * 61, "nested too deeply"),
        ('{"not":' * 400 + "{}" + "}" * 400, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"maximum": 1e400}', "a number that is too large"),
        ('{"maximum": NaN}', "NaN is not a JSON number"),
        ("1" * 5000, "integer"),
    ],
)
def test_a_file_of_json_that_cannot_be_published_is_refused(tmp_path, text, reason):
    """Each such file raises one ValueError and no other error."""
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_json_file("file:s.json", tmp_path)


def test_other_values_are_accepted():
    """Any finite number, any text and sixty levels are accepted."""
    value: object = [1e300, "\U0010ffff", {"a": None}]
    for _ in range(57):
        value = [value]
    check_json_value(value)


@pytest.mark.parametrize("escape", [r"\U0011FFFF", r"\UFFFFFFFF"])
def test_an_escape_of_no_character_is_a_fault_at_its_place(tmp_path, escape):
    """YAML that names a character beyond the last one is refused with one fault."""
    file, faults = tmp_path / "probes.yaml", FaultList()
    file.write_text(f'a:\n  b: "x{escape}"\n')
    assert read_document(file, faults, keys=None) is None
    assert [str(fault) for fault in faults] == [f"{file}:2:10: not YAML: an escape that stands for no character"]


def test_a_number_of_yaml_without_end_is_refused(tmp_path):
    """A number too large for a float is a fault, not a null on the bus."""
    file, faults = tmp_path / "probes.yaml", FaultList()
    file.write_text(f"a: {'9' * 400}.5\n")
    document = read_document(file, faults, keys=None)
    assert document is not None
    document.value("a")
    assert [fault.reason for fault in faults] == ["a: holds a number that is too large"]
