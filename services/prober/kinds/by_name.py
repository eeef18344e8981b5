"""Every kind of probe by its name in probe definitions."""

from __future__ import annotations

from functools import partial

from services.prober.kinds import dns, grpc, http, journey, soap, tcp, tls, xroad
from services.prober.kinds.kind import Kind

__all__ = ["KINDS"]


KINDS: dict[str, Kind] = {
    "http": Kind(http.prepare, http.probe),
    "soap": Kind(soap.prepare, http.probe),
    "xroad-rest": Kind(xroad.prepare_rest, xroad.probe),
    "xroad-soap": Kind(xroad.prepare_soap, xroad.probe),
    "grpc": Kind(grpc.prepare, grpc.probe),
    "tcp": Kind(tcp.prepare, tcp.probe),
    "tls": Kind(tls.prepare, tls.probe),
    "dns": Kind(dns.prepare, dns.probe),
}
KINDS["journey"] = Kind(partial(journey.prepare, KINDS), journey.probe)
