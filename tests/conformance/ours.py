"""Put a conformance case to our prober: load its definition from a register and probe once. Not a test itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from ipaddress import ip_address
from textwrap import indent
from time import time

import structlog

from services.core.errors import InputError
from services.core.model.measurement import Target
from services.prober.assignments import assignments
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from services.register.directory.load import load_register
from tests.conformance.case import CONFIG_ERROR, Case, Place, Seen, Stage, verdict_of
from tests.conformance.secret import leaks
from tests.support.registers import write_register
from tests.support.servers.http_server import LOOPBACK

__all__ = ["ask_ours"]

_POLICY = "egress: {allow: [127.0.0.0/8], allow_loopback: true}\nbus: bus\n"
_OPEN = "egress: {allow: [127.0.0.0/8, '::1/128'], allow_loopback: true}\n"
_DAY = 86_400


async def ask_ours(case: Case, stage: Stage, place: Place) -> Seen:
    """Write the case's definition and target into a register, load it, and probe the link once."""
    write_register(
        place.folder,
        links_csv=_links(stage.target),
        endpoints_csv="id,agency,service,probe,target,params,vantages\n",
        probes_yaml=f"case:\n{indent(case.probe.strip(), '  ')}\n",
        policy_yaml=(_POLICY, _OPEN),
    )
    try:
        register = load_register(place.folder)
    except InputError as error:
        return Seen(CONFIG_ERROR, str(error), {"leaked": leaks(str(error))})
    assignment = assignments(register, None)[Target("link")]
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    if stage.resolver is not None:
        environment.outbound.resolver = stage.resolver
    said = io.StringIO()
    log = structlog.wrap_logger(structlog.PrintLogger(said), processors=[structlog.processors.KeyValueRenderer()])
    try:
        result = await ProbeRunner(environment, log).probe(assignment)
    finally:
        await environment.close()
    reason = result.judgement.reason
    facts = {**_facts(result), "leaked": leaks(f"{assignment!r} {result!r} {said.getvalue()}")}
    return Seen(verdict_of(reason), reason.name, facts)


def _links(target: str) -> str:
    columns = ("id", "service", "provider", "data_item", "live_from", "probe", "target")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerow(("link", "birth-certificate", "tax-office", "dependants", "always", "case", target))
    return text.getvalue()


def _facts(result: ProbeResult) -> Mapping[str, object]:
    observation = result.observation
    certificate, phases = observation.certificate, observation.phases
    return {
        "status": observation.status or None,
        "redirects": observation.redirects,
        "length": observation.body_length,
        "raw_length": observation.raw_length,
        "addresses": observation.addresses,
        "ip": ip_address(observation.addresses[-1]).version if observation.addresses else None,
        "earliest_expiry": None if certificate is None else _days(certificate.earliest_expiry),
        "chain_expiry": None if certificate is None else _days(certificate.chain_expiry),
        "protocol": observation.protocol,
        "tls": observation.tls_version or None,
        "phases": {
            name
            for name in ("resolve", "connect", "tls", "processing", "transfer")
            if getattr(phases, name) is not None
        },
        "serving": observation.rpc and (observation.rpc.serving or None),
        "code": observation.rpc and observation.rpc.code,
        "answers": observation.dns and len(observation.dns.answers),
        "authority": observation.dns and len(observation.dns.authority),
        "rcode": observation.dns and observation.dns.rcode,
    }


def _days(moment: int | None) -> int | None:
    return None if moment is None else round((moment - time()) / _DAY)
