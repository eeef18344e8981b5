"""Readers of the answers of targets: descriptors, encoded bodies, DNS, STARTTLS, tokens."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress

import dns.message
import dns.rrset
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from services.core.model import DnsQuery
from services.prober.grpc import DescriptorError, Descriptors
from services.prober.grpc.descriptors import read_descriptor_set
from services.prober.grpc.reflection import reflected_files
from services.prober.http import (
    DecodeError,
    decode_body,
)
from services.prober.http.oauth2 import _parse_token
from services.prober.http.token_cache import TokenError
from services.prober.kinds.dns_message import MalformedAnswerError, build_question, read_answer
from services.prober.tls import STARTTLS_PROTOCOLS, StartTlsError
from tests.fuzz.reader import Reader

__all__ = ["READERS"]

_BODY_LIMIT = 1 << 16
_ACCEPTED = frozenset({"gzip", "deflate"})
_ID = b"\x12\x34"
_QUESTION = build_question(DnsQuery(name="civil.test", type="A"))


def _descriptor_sets() -> Iterator[bytes]:
    files = FileDescriptorSet()
    health_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    yield files.SerializeToString()


def _reflections() -> Iterator[bytes]:
    files = reflection_pb2.FileDescriptorResponse(file_descriptor_proto=[health_pb2.DESCRIPTOR.serialized_pb])
    yield reflection_pb2.ServerReflectionResponse(file_descriptor_response=files).SerializeToString()


def _encoded(data: bytes) -> None:
    for coding in ("gzip", "deflate", "gzip, deflate"):
        with suppress(DecodeError):
            assert len(decode_body(data, [("content-encoding", coding)], _ACCEPTED, _BODY_LIMIT)) <= _BODY_LIMIT


def _encoded_bodies() -> Iterator[bytes]:
    yield gzip.compress(b"{}" * 50, mtime=0)
    yield gzip.compress(b"{}", mtime=0) * 3
    yield zlib.compress(b"{}" * 50)
    yield zlib.compress(b"{}" * 50, wbits=-15)


def _dns_answers() -> Iterator[bytes]:
    answer = dns.message.make_response(_QUESTION.message)
    for kind, data in {
        "A": "192.0.2.1",
        "SOA": "ns.test. hostmaster.test. 1 2 3 4 5",
        "TXT": '"a" "b"',
        "SVCB": "1 svc.test. alpn=h2 port=443",
        "LOC": "52 14 05.000 N 00 08 50.000 E 10m",
        "NAPTR": '100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" .',
        "CAA": '0 issue "ca.test"',
    }.items():
        answer.answer.append(dns.rrset.from_text("civil.test.", 300, "IN", kind, data))
    yield _ID + answer.to_wire()[2:]


def _read_dns(data: bytes) -> None:
    if _QUESTION.is_answer(_ID, data):
        read_answer(data)


def _starttls(data: bytes) -> None:
    for protocol in STARTTLS_PROTOCOLS.values():
        dialogue = protocol.dialogue()
        with suppress(StartTlsError, StopIteration):
            next(dialogue)
            for line in data.splitlines() if protocol.lines else (bytes([byte]) for byte in data):
                dialogue.send(line)


def _greetings() -> Iterator[bytes]:
    yield b"220 mail\n250-mail\n250 STARTTLS\n220 go"
    yield b"* OK ready\n* CAPABILITY IMAP4\na001 OK begin"
    yield b"S"


def _tokens() -> Iterator[bytes]:
    yield json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 300}).encode()
    yield b'{"access_token": "t", "expires_in": "300"}'


READERS = (
    Reader("gRPC descriptor set", read_descriptor_set, _descriptor_sets, (DescriptorError,)),
    Reader("gRPC reflection", lambda data: Descriptors(reflected_files([data])), _reflections, (DescriptorError,)),
    Reader("content coding", _encoded, _encoded_bodies),
    Reader("DNS answer", _read_dns, _dns_answers, (MalformedAnswerError,)),
    Reader("STARTTLS dialogue", _starttls, _greetings),
    Reader("OAuth2 token", lambda data: _parse_token("issuer.test", 200, data), _tokens, (TokenError,)),
)
