"""Expected statuses and certificates, TLS versions and limits of endpoints are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model import Register
from services.register.directory.load import load_register
from tests.support.registers import PROBES, write_register


def _read(folder: Path, expect: str = "", tls: str = "{}") -> Register:
    probe = f"site:\n  kind: http\n  tls: {tls}\n  expect: {{{expect}}}\n"
    return load_register(write_register(folder, probes_yaml=f"{PROBES}\n{probe}"))


def _faults(folder: Path, expect: str = "", tls: str = "{}") -> list[str]:
    with pytest.raises(InputError) as refused:
        _read(folder, expect, tls)
    return [fault.reason for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("[200-202, 404]", (200, 201, 202, 404)),
        ("{must: [200-299], must_not: [204-299]}", (200, 201, 202, 203)),
        ("{must_not: [100-399, 401-599]}", (400,)),
        ("[200, 200]", (200,)),
    ],
)
def test_statuses_are_read_with_ranges_and_without_the_forbidden(
    tmp_path: Path, written: str, right: tuple[int, ...]
) -> None:
    """A list holds statuses and ranges. Forbidden ones are removed from it, or from all if none are required."""
    assert _read(tmp_path, f"status: {written}").probes["site"].expect.status == right


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("[299-200]", "status: `299-200` is not an HTTP status, nor a range of them such as 200-299"),
        ("[200-600]", "status: `200-600` is not an HTTP status, nor a range of them such as 200-299"),
        ("{must: [200], must_not: [200]}", "status: leaves no status that is right"),
        ("{never: [200]}", "key `never` is unknown; known are must, must_not"),
    ],
)
def test_statuses_that_cannot_be_are_faults(tmp_path: Path, written: str, reason: str) -> None:
    """A range that is reversed or outside HTTP, and a list that nothing passes, are refused."""
    assert _faults(tmp_path / "alone", f"status: {written}") == [reason]
    before = "min_version: `1` is not one of 1.2, 1.3"
    assert _faults(tmp_path / "after another", f"status: {written}", "{min_version: '1'}") == [before, reason]


@pytest.mark.parametrize(
    "written", ["status: []", "headers: {}", "body: {}", "body: {must: []}", "json: []", "record: {}", "schema: {}"]
)
def test_expectations_that_hold_nothing_are_faults(tmp_path: Path, written: str) -> None:
    """An expectation that every answer would pass is refused, because it was meant to require something."""
    key = written.partition(":")[0]
    reason = f"{key}: holds nothing, so that every answer would pass: remove it, or write what is expected"
    assert _faults(tmp_path, written) == [reason]


def test_headers_that_cannot_be_and_that_require_nothing_are_faults(tmp_path: Path) -> None:
    """A name with a space and an optional header without a pattern are faults. An empty list in a record is a value."""
    assert _faults(tmp_path / "a", "headers: {X Y: a, X-Z: {optional: true}}") == [
        "X Y: `X Y` is not a header name",
        "X-Z: is optional and has no pattern, so that every answer would pass",
    ]
    assert _read(tmp_path / "b", "record: {a: []}").probes["site"].expect.record == {"a": []}


def test_certificates_and_versions_are_read(tmp_path: Path) -> None:
    """The time that a certificate must have left, and the offered versions of TLS, are read."""
    probe = _read(tmp_path, "certificate: {days_left: 14d}", "{min_version: '1.2', max_version: '1.2'}").probes["site"]
    assert probe.expect.certificate_left == 14 * 86_400
    assert (probe.tls.min_version, probe.tls.max_version) == ("1.2", "1.2")


def test_versions_that_cannot_be_are_faults(tmp_path: Path) -> None:
    """Outdated versions and reversed bounds are refused."""
    assert _faults(tmp_path / "a", tls="{min_version: '1.1'}") == ["min_version: `1.1` is not one of 1.2, 1.3"]
    reason = "tls: its min_version is above its max_version"
    assert _faults(tmp_path / "b", tls="{min_version: '1.3', max_version: '1.2'}") == [reason]


def test_an_endpoint_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    """latency_ms of endpoints.csv is optional. A register without it keeps its hash."""
    plain = write_register(tmp_path / "plain")
    table = (plain / "endpoints.csv").read_text("utf-8").splitlines()
    empty, limited = ([f"{table[0]},latency_ms", *(f"{row},{limit}" for row in table[1:])] for limit in ("", "1500"))
    registers = [
        load_register(write_register(tmp_path / name, endpoints_csv="\n".join(lines) + "\n"))
        for name, lines in (("empty", empty), ("limited", limited))
    ]
    assert registers[0].probe_version == load_register(plain).probe_version != registers[1].probe_version
    assert {endpoint.latency_ms for endpoint in registers[1].endpoints.values()} == {1500}


def test_a_refusal_goes_alone(tmp_path: Path) -> None:
    """An answer that must be a refusal has no other expectation."""
    assert _read(tmp_path / "a", "refused: true").probes["site"].expect.refused
    reason = "refused: cannot be given with others: nothing else can be expected of a refusal"
    assert _faults(tmp_path / "b", "refused: true, status: [403]") == [reason]
