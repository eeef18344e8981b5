"""A register directory of any content is loaded or refused, never a crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import Fault, InputError
from services.register.directory.load import load_register
from tests.support.registers import EVALUATION, register_files

_FILES = (*register_files(), "members.csv", "exchange.csv", "maintenance.csv", "evaluation_rounds.yaml")
_PIECES = (
    b'"', b",", b"\n", b"\r", b"${", b"$", b"{", b"[", b"]", b"}", b": ", b"- ", b"&a ", b"*a", b"!!x ", b"\x00", b"\xff",
    b"\\ud800", "ك۱".encode(), b"1e999", b"-1", b"null", b"0", b"9" * 5000, b"[" * 3000, b"NaN", b"\xef\xbb\xbf", b"| ", b"<<: ",
)  # fmt: skip


@settings(max_examples=120)
@given(data=st.data())
def test_damage_is_refused_not_a_crash(data: st.DataObject) -> None:
    """A register with bytes inserted, removed or replaced anywhere is good or an InputError with faults."""
    files = {name: content.encode() for name, content in register_files().items()}
    files |= {"members.csv": b"member,agency\nA/B/C,customs\n", "exchange.csv": b"client,service,link\n"}
    files["maintenance.csv"] = b"subject,from,to,note\nbus,2026-01-01,2026-01-02,x\n"
    files["evaluation_rounds.yaml"] = EVALUATION.encode()
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(_FILES))
        content = files[name]
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 20)))
        piece = data.draw(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=4), st.text(max_size=4).map(_encoded)))
        files[name] = content[:start] + piece + content[end:]
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            (Path(directory) / name).write_bytes(content)
        faults = _faults(Path(directory))
    assert faults is None or faults
    assert all(fault.reason and (fault.line or not fault.column) for fault in faults or ())


def _faults(directory: Path) -> tuple[Fault, ...] | None:
    """Return the faults of a register, None when it is good."""
    try:
        load_register(directory)
    except InputError as refused:
        return refused.faults
    return None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("probes.yaml", "a: &a {kind: http, expect: {json: [{path: $.x, equals: *a}]}}\n"),
        ("probes.yaml", "a: {kind: http, expect: {record: {$.x: " + "[" * 200 + "]" * 200 + "}}}\n"),
        ("probes.yaml", "a: {kind: http, expect: {json: [{path: $.x, equals: {[1]: 2, {a: b}: 3}}]}}\n"),
        ("probes.yaml", "? [a]\n: b\n"),
        ("policy.yaml", "- a\n"),
        ("policy.yaml", "a: 1\n---\nb: 2\n"),
        ("policy.yaml", ""),
        ("agencies.csv", ""),
        ("agencies.csv", "\n\n"),
    ],
)
def test_odd_documents_are_refused(tmp_path: Path, name: str, content: str) -> None:
    """Recursive, deep, keyless, empty and double documents each end as faults."""
    for other, text in register_files().items():
        (tmp_path / other).write_text(text, encoding="utf-8")
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_register(tmp_path)
    assert any(fault.file == str(tmp_path / name) for fault in refused.value.faults)
