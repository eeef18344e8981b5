"""Maps the names of kinds of probe in definitions to their code; a new kind is added here."""

from __future__ import annotations

from functools import partial

from services.prober.kinds import dns, grpc, http, journey, tcp, tls, xroad
from services.prober.kinds.kind import ProbeKind

KINDS_BY_NAME: dict[str, ProbeKind] = {
    "http": ProbeKind(http.prepare, http.probe),
    "soap": ProbeKind(http.prepare_soap, http.probe),
    "xroad-rest": ProbeKind(xroad.prepare_rest, xroad.probe),
    "xroad-soap": ProbeKind(xroad.prepare_soap, xroad.probe),
    "grpc": ProbeKind(grpc.prepare, grpc.probe),
    "tcp": ProbeKind(tcp.prepare, tcp.probe),
    "tls": ProbeKind(tls.prepare, tls.probe),
    "dns": ProbeKind(dns.prepare, dns.probe),
}
KINDS_BY_NAME["journey"] = ProbeKind(partial(journey.prepare, KINDS_BY_NAME), journey.probe)
