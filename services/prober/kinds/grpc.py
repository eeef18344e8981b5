"""Probe kind `grpc`: the health check, or any unary method, over HTTP/2 (docs/probing.md §2).

A method is known from a descriptor set or from the server's reflection. Reflection uses connections of its own, outside
the target's time. It runs before the first call, and again every few minutes after a call.

A server without reflection cannot be probed: UNKNOWN/PROBER_ERROR. A server whose reflection does not know the service
is judged as one without the method. A server that does not answer reflection is judged as one that does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import orjson

from services.core.model import Probe, fill_placeholders, fill_probe
from services.prober.checks import UnjudgedError
from services.prober.excuses import is_our_timeout
from services.prober.grpc import HEALTH_CHECK, GrpcMethod, GrpcServer, call_metadata
from services.prober.http import token_issuer
from services.prober.kinds.grpc_call import GrpcCall, GrpcTarget
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Failure, Observation
from services.prober.secrets import credential_header
from services.prober.transport import ProbeFailedError, ProbeTrace, parse_host_port, run_until_deadline


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> GrpcTarget:
    """Build a target of a definition, its texts filled in. Raises MissingSecretError, UnusableError and ValueError."""
    definition, url = fill_probe(definition, params), fill_placeholders(target, params)
    host, port = parse_host_port(url)
    method: GrpcMethod | None = None
    message: bytes | None = None
    if not definition.call:
        method = HEALTH_CHECK
        message = method.request(orjson.dumps({"service": definition.service}).decode())
    elif definition.descriptors:
        method = environment.descriptors.of_file(definition.descriptors).method(definition.call)
        message = method.request(definition.body)
    authority, metadata = call_metadata(definition.headers, credential_header(definition.auth, environment.secrets))
    return GrpcTarget(
        environment=environment,
        definition=definition,
        server=GrpcServer(
            host=host,
            port=port,
            tls=definition.tls if url.lower().startswith("grpcs:") else None,
            authority=authority or _authority(host, port),
            metadata=metadata,
        ),
        method=method,
        message=message,
        issuer=token_issuer(definition, url),
    )


def _authority(host: str, port: int) -> bytes:
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()


async def probe(target: GrpcTarget, deadline: float) -> Observation:
    """Call once over a fresh connection. Always end by ``deadline`` (monotonic seconds).

    Raises UnusableError. Raises UnjudgedError when a large answer was not decoded in time, or when reading the result
    of reflection left too little time for the call.
    """
    trace, call = ProbeTrace(deadline, target.definition.ip), GrpcCall(target)
    start, awaited, reading = trace.start, 0.0, 0.0
    if target.issuer is not None:
        try:
            await call.authorize(target.issuer, deadline)
        except ProbeFailedError as failed:
            return call.observation(trace, failed.failure)
        awaited = perf_counter() - start
        trace = ProbeTrace(deadline, target.definition.ip)  # the issuer's time is not the target's
    failure: Failure | None = None
    if call.method is None:
        failure = await run_until_deadline(trace, call.reflect(trace))
        if failure is None:
            reflected = perf_counter()
            await call.find_method(deadline)
            reading = perf_counter() - reflected
        if call.method is not None:
            trace = ProbeTrace(deadline, target.definition.ip)  # nor is that of reflection
    if failure is None and call.method is not None:
        failure = await run_until_deadline(trace, call.make(trace))
    trace.awaited = awaited
    observation = call.observation(trace, failure)
    if is_our_timeout(observation, reading, perf_counter() - start):
        raise UnjudgedError(f"reading the server's reflection took {reading * 1000:.0f} ms of the time of the call")
    if failure is None:
        observation = await call.decode(observation, deadline)
    await call.finish(deadline)
    return observation
