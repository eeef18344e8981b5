"""Behaviour 26: health checks over gRPC. Not a test itself."""

from __future__ import annotations

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, Case
from tests.conformance.servers import Scene
from tests.conformance.talkers import grpc_server

__all__ = ["CASES"]

_OURS = "kind: grpc"
_THEIRS = "prober: grpc\ngrpc: {tls: false}"
_TAX, _THEIR_TAX = "kind: grpc\nservice: tax", "prober: grpc\ngrpc: {service: tax}"
_TLS = "kind: grpc\ntls: {ca: file:ca.pem}"
_THEIR_TLS = "prober: grpc\ngrpc: {tls: true, tls_config: {ca_file: ca.pem}}"
_SERVING = {"": "SERVING", "tax": "SERVING"}
_CLOSED = {"": "SERVING", "tax": "NOT_SERVING"}


def _health(name: str, scene: Scene, ours: str, theirs: str, reason: Reason, **facts: object) -> Case:
    return Case(26, name, scene, ours, theirs, reason, PASSES if reason is Reason.OK else FAILS, facts)


CASES = (
    _health("serving", grpc_server(_SERVING), _OURS, _THEIRS, Reason.OK, code="OK", serving="SERVING"),
    _health("a service that serves", grpc_server(_SERVING), _TAX, _THEIR_TAX, Reason.OK, serving="SERVING"),
    _health(
        "a service that does not", grpc_server(_CLOSED), _TAX, _THEIR_TAX, Reason.NOT_SERVING, serving="NOT_SERVING"
    ),
    _health("another service does not", grpc_server(_CLOSED), _OURS, _THEIRS, Reason.OK, serving="SERVING"),
    _health(
        "a service that is unknown",
        grpc_server({"": "SERVING"}),
        _TAX,
        _THEIR_TAX,
        Reason.UNKNOWN_SERVICE,
        code="NOT_FOUND",
        serving=None,
    ),
    _health(
        "no health check",
        grpc_server(None),
        _OURS,
        _THEIRS,
        Reason.UNIMPLEMENTED,
        code="UNIMPLEMENTED",
        serving=None,
    ),
    _health(
        "TLS", grpc_server(_SERVING, secure=True), _TLS, _THEIR_TLS, Reason.OK, serving="SERVING", earliest_expiry=30
    ),
    _health("TLS to plain text", grpc_server(_SERVING, scheme="grpcs"), _TLS, _THEIR_TLS, Reason.TLS_NOT_SPOKEN),
    _health(
        "plain text to TLS", grpc_server(_SERVING, secure=True, scheme="grpc"), _OURS, _THEIRS, Reason.PROTOCOL_ERROR
    ),
    Case(
        26,
        "TLS of an unknown authority",
        grpc_server(_SERVING, secure=True),
        "kind: grpc",
        "prober: grpc\ngrpc: {tls: true}",
        Reason.CERTIFICATE_UNTRUSTED,
        FAILS,
        our_facts={"earliest_expiry": 30},
        their_facts={"earliest_expiry": None},
        differs="facts are known of certificates that are not believed; blackbox_exporter has none then",
    ),
)
