"""Definitions of gRPC probes are read, and each fault has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.probe import Expect, JsonExpectation, Probe
from services.register.directory.load import load_register
from tests.support.registers import register_files, write_register

PROBES = register_files()["probes.yaml"]


def faults(directory: Path) -> list[str]:
    """Return the faults of a register without its path."""
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return [str(fault).replace(f"{directory}/", "") for fault in refused.value.faults]


def of_probes(tmp_path: Path, probes: str) -> list[str]:
    """Return the faults of definitions after the usual ones, with lines counted from their first."""
    before = PROBES.count("\n")
    found = (fault.split(":", 2) for fault in faults(write_register(tmp_path, probes_yaml=PROBES + probes)))
    return [f"{int(line) - before}:{rest}" for _, line, rest in found]


def test_definitions_of_calls(tmp_path: Path) -> None:
    """A health check and a call are read as they are meant, with the whole path of the descriptor set."""
    (tmp_path / "tax.pb").write_bytes(b"\x0a\x00")
    probes = """\
health:
  kind: grpc
  service: tax.v1.Inquiry
call:
  kind: grpc
  call: tax.v1.Inquiry/Ask
  descriptors: file:tax.pb
  headers: {X-Who: "${who}"}
  body: '{"national_id": ${id}}'
  expect: {json: [{path: "$.clear", equals: false}]}
"""
    directory = write_register(tmp_path, probes_yaml=PROBES + probes)
    register = load_register(directory)
    assert register.probes["health"] == Probe("health", "grpc", service="tax.v1.Inquiry")
    assert register.probes["call"] == Probe(
        "call",
        "grpc",
        call="tax.v1.Inquiry/Ask",
        descriptors=f"file:{directory}/./tax.pb",
        headers={"X-Who": "${who}"},
        body='{"national_id": ${id}}',
        expect=Expect(json=(JsonExpectation("$.clear", equals=False),)),
    )


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("call: Ask", "3:9: call: `Ask` is not a method: write package.Service/Method"),
        ("call: tax..Inquiry/Ask", "3:9: call: `tax..Inquiry/Ask` is not a method: write package.Service/Method"),
        ("call: تکس/Ask", "3:9: call: `تکس/Ask` is not a method: write package.Service/Method"),
        ("service: tax\n  call: a.B/C", "3:12: service: is for the health check: it is not used with `call`"),
        ("body: '{}'", "3:9: body: is for a `call`: the health check needs none"),
        ("call: a.B/C\n  body: 'id=1'", "4:9: body: is not JSON"),
        (
            "call: a.B/C\n  descriptors: file:gone.pb",
            "4:16: descriptors: `gone.pb` cannot be read: No such file or directory",
        ),
        (
            "call: a.B/C\n  descriptors: file:empty.pb",
            "4:16: descriptors: `empty.pb` is empty: write it with protoc --include_imports --descriptor_set_out",
        ),
        ("headers: {Grpc-Timeout: 1S}", "3:12: headers: `Grpc-Timeout` cannot go with a gRPC call"),
        ("headers: {Content-Type: application/grpc}", "3:12: headers: `Content-Type` cannot go with a gRPC call"),
        (
            "headers: {TE: trailers}",
            "3:17: TE: `TE` cannot be set: it belongs to the connection, not to the request",
        ),
        (
            "headers: {x-who: علی}",
            "3:12: headers: `x-who` holds what gRPC cannot send: only printable ASCII can go",
        ),
        (
            "auth: {kind: api_key, header: grpc-timeout, key: env:KEY}",
            "3:9: auth: `grpc-timeout` cannot go with a gRPC call",
        ),
    ],
)
def test_faults_of_calls(written: str, fault: str, tmp_path: Path) -> None:
    """Impossible and missing parts of a call are faults at their place."""
    (tmp_path / "empty.pb").write_bytes(b"")
    assert of_probes(tmp_path, f"call:\n  kind: grpc\n  {written}\n") == [fault]


def test_params_of_metadata(tmp_path: Path) -> None:
    """Params that put non-ASCII text into metadata are a fault of their row."""
    written = {
        "probes_yaml": PROBES + 'call:\n  kind: grpc\n  headers: {x-who: "${who}"}\n',
        "endpoints_csv": register_files()["endpoints.csv"]
        + 'good,tax-office,,call,grpc://tax.example:50051,"{""who"": ""ali""}",\n'
        + 'bad,tax-office,,call,grpc://tax.example:50051,"{""who"": ""علی""}",\n',
    }
    assert faults(write_register(tmp_path, **written)) == [
        "endpoints.csv:5:47: params: with them header `x-who` holds what gRPC cannot send: only printable ASCII can go"
    ]


def test_params_must_leave_a_request_json(tmp_path: Path) -> None:
    """Params that make a request something other than JSON are a fault of their row."""
    files = register_files()
    written = {
        "probes_yaml": PROBES + "call:\n  kind: grpc\n  call: a.B/C\n  body: '{\"id\": ${id}}'\n",
        "endpoints_csv": files["endpoints.csv"]
        + 'good,tax-office,,call,grpc://tax.example:50051,"{""id"": 17}",\n'
        + 'bad,tax-office,,call,grpc://tax.example:50051,"{""id"": ""17 or so""}",\n',
    }
    assert faults(write_register(tmp_path, **written)) == [
        "endpoints.csv:5:47: params: they make the body of probe `call` something that is not JSON"
    ]
