"""Probe kind `grpc`: the health check, or any unary method, over HTTP/2 (docs/probing.md §2).

A method is known from a descriptor set, or from the server's reflection. Reflection uses connections of its own, outside
the target's time: before the first call, and again every few minutes after one. A server without reflection cannot be
probed: UNKNOWN/PROBER_ERROR. A server whose reflection does not know the service is judged as one without the method, and
one that does not answer reflection as one that does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter

import orjson

from services.core.model import Probe, fill_placeholders, fill_probe
from services.prober.grpc import (
    HEALTH_CHECK,
    DescriptorError,
    Descriptors,
    GrpcAnswerError,
    GrpcMethod,
    GrpcServer,
    MethodNotFoundError,
    ServiceKey,
    call_metadata,
    call_unary,
    describe_service,
)
from services.prober.http import Http2Connection, TokenIssuer, access_token, decode_headers, token_issuer
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Cause, Failure, Observation, Phase, RpcFacts
from services.prober.secrets import credential_header
from services.prober.transport import ProbeFailedError, ProbeTrace, parse_host_port, run_until_deadline


@dataclass(frozen=True, slots=True)
class GrpcTarget:
    """One target, ready to be called, with its definition's texts filled in.

    ``method`` and ``message`` are None when they depend on the server's reflection.
    """

    environment: ProbeEnvironment = field(repr=False)
    definition: Probe = field(repr=False)
    server: GrpcServer
    method: GrpcMethod | None
    message: bytes | None = field(repr=False)
    issuer: TokenIssuer | None

    @property
    def key(self) -> ServiceKey:
        """The key of the server's reflected descriptors in their cache."""
        return self.server.host, self.server.port, self.server.tls is not None, self.definition.call.partition("/")[0]


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
    """Call once over a fresh connection; end by ``deadline`` (monotonic seconds), always. Raises DescriptorError."""
    trace, call = ProbeTrace(deadline, target.definition.ip), _Call(target)
    awaited = 0.0
    if target.issuer is not None:
        try:
            await call.authorize(target.issuer, deadline)
        except ProbeFailedError as failed:
            return call.observation(trace, failed.failure)
        awaited = perf_counter() - trace.start
        trace = ProbeTrace(deadline, target.definition.ip)  # the issuer's time is not the target's
    failure: Failure | None = None
    if call.method is None:
        failure = await run_until_deadline(trace, call.find_method(trace))
        if call.method is not None:
            trace = ProbeTrace(deadline, target.definition.ip)  # nor is that of reflection
    if failure is None and call.method is not None:
        failure = await run_until_deadline(trace, call.make(trace))
    observation = call.observation(trace, failure, awaited)
    await call.finish(deadline)
    return observation


class _Call:
    """One call, and what it needs. ``method`` is None until it is known."""

    def __init__(self, target: GrpcTarget) -> None:
        self.method = target.method
        self._target = target
        self._message = target.message
        self._server = target.server
        self._token = ""
        self._code = ""
        self._body = b""

    async def authorize(self, issuer: TokenIssuer, deadline: float) -> None:
        """Add a token, which is there by ``deadline`` (monotonic seconds), to the metadata. Raises ProbeFailedError."""
        environment = self._target.environment
        self._token = await access_token(
            issuer, environment.outbound, environment.tokens, environment.secrets, deadline
        )
        bearer = (b"authorization", f"Bearer {self._token}".encode())
        self._server = replace(self._server, metadata=(*self._server.metadata, bearer))

    async def find_method(self, trace: ProbeTrace) -> None:
        """Find the method by reflection; none if the server lacks it. Raises ProbeFailedError and DescriptorError."""
        target = self._target
        try:
            descriptors = target.environment.descriptors.of_server(target.key) or await self._describe(trace)
            self.method = descriptors.method(target.definition.call)
        except MethodNotFoundError:
            self._code = "UNIMPLEMENTED"
            return
        self._message = self.method.request(target.definition.body)

    async def _describe(self, trace: ProbeTrace) -> Descriptors:
        target = self._target
        try:
            descriptors = await describe_service(target.key[3], self._server, target.environment.outbound, trace)
        finally:
            trace.connection = None  # its answer is not the target's
        target.environment.descriptors.keep(target.key, descriptors)
        return descriptors

    async def make(self, trace: ProbeTrace) -> None:
        """Make the call, and decode the answer. Raises ProbeFailedError."""
        method, message = self.method, self._message
        assert method is not None
        assert message is not None
        target = self._target
        result = await call_unary(
            self._server,
            method.path,
            [message],
            limit=target.definition.body_limit,
            outbound=target.environment.outbound,
            trace=trace,
        )
        self._code = result.code
        if result.code != "OK":
            return
        if len(result.messages) != 1:
            detail = f"the answer holds {len(result.messages)} messages instead of one"
            raise ProbeFailedError(Failure(Phase.TRANSFER, Cause.PROTOCOL, detail))
        try:
            self._body = method.answer(result.messages[0])
        except GrpcAnswerError as error:
            raise ProbeFailedError(Failure(Phase.TRANSFER, Cause.ENCODING, str(error))) from error

    def observation(self, trace: ProbeTrace, failure: Failure | None, awaited: float = 0.0) -> Observation:
        """Return the facts of a probe that ends now."""
        answer = trace.connection if isinstance(trace.connection, Http2Connection) else None
        observation = trace.observation(
            failure, answer.ended - trace.first_sent if answer and failure is None else None
        )
        rpc = RpcFacts(self._code, self._serving(), health=not self._target.definition.call) if self._code else None
        observation = replace(observation, body=self._body, body_length=len(self._body), rpc=rpc, awaited=awaited)
        if answer is None:
            return observation
        return replace(
            observation,
            status=answer.status,
            headers=decode_headers([*answer.headers, *answer.trailers]),
            raw_length=answer.raw_length,
            protocol=answer.protocol if answer.status else "",
        )

    def _serving(self) -> str:
        """Return the status in a health check's answer; a status of later versions is a number."""
        return str(orjson.loads(self._body)["status"]) if self._body and not self._target.definition.call else ""

    async def finish(self, deadline: float) -> None:
        """Drop a refused token; repeat the reflection when it is due, in the time that is left."""
        target = self._target
        if self._code == "UNAUTHENTICATED" and target.issuer is not None:
            target.environment.tokens.drop(target.issuer, self._token)
        if target.method is None and target.environment.descriptors.is_stale(target.key):
            with suppress(TimeoutError, ProbeFailedError, DescriptorError):
                async with asyncio.timeout(deadline - monotonic()):
                    await self._describe(ProbeTrace(deadline, target.definition.ip))
