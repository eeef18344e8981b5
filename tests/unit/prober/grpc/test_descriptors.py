"""Methods by descriptors turn JSON into messages and back."""

from __future__ import annotations

import os
import typing
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import cast

import orjson
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from services.prober.grpc.call import call_metadata
from services.prober.grpc.descriptor_cache import DescriptorCache
from services.prober.grpc.descriptors import (
    HEALTH_CHECK,
    DescriptorError,
    Descriptors,
    GrpcAnswerError,
    MethodNotFoundError,
    read_descriptor_set,
)
from services.prober.grpc.reflection import reflected_files
from services.prober.secrets import UnusableError


def _file(name: str = "tax.proto", *imports: str) -> FileDescriptorProto:
    """Return a file with one unary and two streaming methods over one message with every sort of field."""
    file = FileDescriptorProto(name=name, package="tax", syntax="proto3", dependency=imports)
    record = file.message_type.add(name="Record")
    fields: list[tuple[str, int, dict[str, str | int]]] = [
        ("national_id", 9, {}),
        ("clear", 8, {}),
        ("amount", 3, {}),
        ("seal", 12, {}),
        ("updated", 11, {"type_name": ".google.protobuf.Timestamp"}),
        ("extra", 11, {"type_name": ".google.protobuf.Any"}),
        ("tags", 9, {"label": 3}),
    ]
    for number, (field, kind, more) in enumerate(fields, start=1):
        record.field.add(
            name=field, number=number, type=cast(typing.Any, kind), **cast(dict[str, typing.Any], {"label": 1} | more)
        )
    service = file.service.add(name="Inquiry")
    for method, client, server in (("Ask", False, False), ("Watch", False, True), ("Tell", True, False)):
        service.method.add(
            name=method,
            input_type=".tax.Record",
            output_type=".tax.Record",
            client_streaming=client,
            server_streaming=server,
        )
    return file


_IMPORTS = ("google/protobuf/timestamp.proto", "google/protobuf/any.proto")
_TAX = Descriptors([_file("tax.proto", *_IMPORTS).SerializeToString()])


def test_json_goes_in_and_comes_back() -> None:
    """Every sort of field passes through the message and keeps its name. An unset field has its default."""
    method = _TAX.method("tax.Inquiry/Ask")
    given = {
        "national_id": "۰۰۱",
        "amount": "9007199254740993",
        "seal": "AQI=",
        "updated": "2026-03-21T00:00:00Z",
        "extra": {"@type": "type.googleapis.com/tax.Record", "national_id": "2"},
    }
    found = orjson.loads(method.answer(method.request(orjson.dumps(given).decode())))
    extra = found.pop("extra")
    assert found == {key: value for key, value in given.items() if key != "extra"} | {"clear": False, "tags": []}
    assert (extra["@type"], extra["national_id"]) == ("type.googleapis.com/tax.Record", "2")
    assert orjson.loads(method.answer(method.request(""))) == {
        "national_id": "",
        "clear": False,
        "amount": "0",
        "seal": "",
        "tags": [],
    }


def test_paths_and_absent_methods() -> None:
    """A method has its path. A missing one raises MethodNotFoundError, and a streaming one cannot be probed."""
    assert _TAX.method("tax.Inquiry/Ask").path == "/tax.Inquiry/Ask"
    for call in ("tax.Inquiry/Answer", "tax.Nothing/Ask", "tax.Record/Ask"):
        with pytest.raises(MethodNotFoundError):
            _TAX.method(call)
    for call in ("tax.Inquiry/Watch", "tax.Inquiry/Tell"):
        with pytest.raises(DescriptorError, match="streaming"):
            _TAX.method(call)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"nobody": "0012345678"}', ": its field `nobody`"),
        ('{"amount": "0012345678x"}', ": its field `amount`"),
        ('["0012345678"]', ""),
        ('{"national_id": "0012345678"', ""),
        ('{"national_id": "1", "national_id": "0012345678"}', ""),
        ('{"extra": {"@type": "type.googleapis.com/tax.0012345678"}}', ""),
    ],
)
def test_a_body_that_does_not_fit_is_refused_without_its_values(body: str, where: str) -> None:
    """A body that is not JSON, or does not fit the message, is refused. The error holds no value of the body."""
    with pytest.raises(UnusableError) as caught:
        _TAX.method("tax.Inquiry/Ask").request(body)
    assert str(caught.value).startswith(f"the body is not JSON that fits tax.Record{where}")
    assert "0012345678" not in str(caught.value)


def test_answers_that_have_no_json() -> None:
    """An answer that is not the message, contains one of an unknown type, or is nested too deep, is an error."""
    method = _TAX.method("tax.Inquiry/Ask")
    unknown, deep = Any(), Any()
    unknown.Pack(Duration())
    for _ in range(500):
        deep = Any(type_url="type.googleapis.com/google.protobuf.Any", value=deep.SerializeToString())
    record: typing.Any = method.output()
    answers = [b"\xff", b"\x0a\x01\xff"]
    for extra in (unknown, deep):
        record.extra.ParseFromString(extra.SerializeToString())
        answers.append(record.SerializeToString())
    for data in answers:
        with pytest.raises(GrpcAnswerError, match=r"tax\.Record"):
            method.answer(data)


def test_descriptors_need_what_they_import() -> None:
    """Files may come in any order, without well-known types. Missing files are named, and cycles are refused."""
    base = FileDescriptorProto(name="base.proto", syntax="proto3", dependency=["google/protobuf/type.proto"])
    files = [_file("tax.proto", "base.proto", *_IMPORTS).SerializeToString(), base.SerializeToString()]
    assert Descriptors(files).method("tax.Inquiry/Ask").path == "/tax.Inquiry/Ask"
    half = Descriptors(files[:1])
    assert half.missing == {"base.proto"}
    with pytest.raises(DescriptorError, match=r"lack base\.proto"):
        half.method("tax.Inquiry/Ask")
    base.dependency.append("tax.proto")
    with pytest.raises(DescriptorError, match="fit together"):
        Descriptors([files[0], base.SerializeToString()])
    with pytest.raises(DescriptorError, match="fit together"):
        Descriptors([_file("tax.proto").SerializeToString()])  # its messages use what it does not import


@given(st.binary(max_size=200))
def test_nothing_a_server_says_crashes_us(data: bytes) -> None:
    """Any bytes as descriptors, reflection or answers are parsed or refused with our own errors."""
    for read in (lambda: Descriptors([data]), lambda: read_descriptor_set(data), lambda: reflected_files([data])):
        with suppress(DescriptorError):
            read()
    for method in (HEALTH_CHECK, _TAX.method("tax.Inquiry/Ask")):
        with suppress(GrpcAnswerError):
            assert isinstance(orjson.loads(method.answer(data)), dict)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A descriptor file is read once, and again after a change. A file of another format is refused."""
    path = tmp_path / "set.pb"
    now = count(0.0, 11.0)
    schemas = DescriptorCache(clock=lambda: next(now))
    path.write_bytes(FileDescriptorSet(file=[_file("tax.proto", *_IMPORTS)]).SerializeToString())
    os.utime(path, (0, 0))
    first = schemas.of_file(f"file:{path}")
    assert schemas.of_file(f"file:{path}") is first
    path.write_bytes(b"")
    with pytest.raises(MethodNotFoundError):
        schemas.of_file(f"file:{path}").method("tax.Inquiry/Ask")
    path.write_bytes(b"no descriptors")
    with pytest.raises(DescriptorError, match="not a descriptor set"):
        schemas.of_file(f"file:{path}")


def test_too_many_servers_are_forgotten_in_turn() -> None:
    """Reflected descriptors are cached for a thousand servers. Then the oldest are dropped."""
    schemas = DescriptorCache(clock=lambda: 0.0)
    keys = [("tax.example", port, False, "tax.Inquiry") for port in range(1, 1026)]
    for key in keys:
        schemas.keep(key, _TAX)
    assert schemas.of_server(keys[0]) is None
    assert schemas.of_server(keys[1]) is _TAX


def test_headers_as_metadata() -> None:
    """Names are in lower case, Host is the authority, and a user agent of the definition replaces ours."""
    headers = {"Host": "tax.example", "X-Who": " me ", "User-Agent": "monitor/9"}
    authority, metadata = call_metadata(headers, ("Authorization", "Bearer t"))
    assert authority == b"tax.example"
    assert dict(metadata) == {b"user-agent": b"monitor/9", b"x-who": b"me", b"authorization": b"Bearer t"}
    assert call_metadata({}, ("", "")) == (b"", ((b"user-agent", b"peyvand-prober/1"),))
