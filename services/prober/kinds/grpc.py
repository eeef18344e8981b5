"""Probe kind `grpc`: the health check, or any unary method, over HTTP/2 (docs/probing.md §2).

A method is known from a descriptor set, or from what the server tells of itself. That is asked over connections of their
own, outside the target's time: before the first call, and again every few minutes after one. A server that does not
describe itself leaves us unable to ask: UNKNOWN/PROBER_ERROR. One that describes itself without the service asked for is
judged as one that has no such method, and one that does not answer our question as one that does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter

import orjson

from services.core.model import Probe, fill_placeholders, fill_probe
from services.prober.environment import ProbeEnvironment
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
from services.prober.http import Answer, TokenIssuer, access_token, decode_headers, token_issuer
from services.prober.observation import Cause, Failure, Observation, Phase, RpcFacts
from services.prober.secrets import credential_header
from services.prober.transport import ProbeFailedError, ProbeTrace, parse_host_port, run_until_deadline

__all__ = ["GrpcTarget", "prepare", "probe"]


@dataclass(frozen=True, slots=True)
class GrpcTarget:
    """One target, ready to be called. ``method`` and ``message`` are None while only the server can tell them."""

    environment: ProbeEnvironment = field(repr=False)
    server: GrpcServer
    call: str
    body: str = field(repr=False)
    method: GrpcMethod | None
    message: bytes | None = field(repr=False)
    issuer: TokenIssuer | None
    ip: str
    body_limit: int

    @property
    def key(self) -> ServiceKey:
        """Under which what the server tells of itself is remembered."""
        return self.server.host, self.server.port, self.server.tls is not None, self.call.partition("/")[0]


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
        server=GrpcServer(
            host=host,
            port=port,
            tls=definition.tls if url.lower().startswith("grpcs:") else None,
            authority=authority or _authority(host, port),
            metadata=metadata,
        ),
        call=definition.call,
        body=definition.body,
        method=method,
        message=message,
        issuer=token_issuer(definition, url),
        ip=definition.ip,
        body_limit=definition.body_limit,
    )


def _authority(host: str, port: int) -> bytes:
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()


async def probe(target: GrpcTarget, deadline: float) -> Observation:
    """Call once over a fresh connection; end by ``deadline`` (monotonic seconds), always. Raises DescriptorError."""
    trace, talk = ProbeTrace(deadline, target.ip), _Talk(target)
    try:
        await talk.authorize(deadline)
    except ProbeFailedError as stopped:
        return talk.observation(trace, stopped.failure)
    awaited = perf_counter() - trace.start
    trace = ProbeTrace(deadline, target.ip)
    failure = await run_until_deadline(trace, talk.begin(trace))
    if failure is None and talk.method is not None:
        trace = ProbeTrace(deadline, target.ip)  # what came before is not the target's time
        failure = await run_until_deadline(trace, talk.call(trace))
    observation = replace(talk.observation(trace, failure), awaited=awaited)
    await talk.end(deadline)
    return observation


class _Talk:
    """One call, and what is needed for it."""

    def __init__(self, target: GrpcTarget) -> None:
        self.target = target
        self.method = target.method
        self._message = target.message
        self._server = target.server
        self._token = ""
        self._answer = Answer()
        self._code = ""
        self._body = b""

    async def authorize(self, deadline: float) -> None:
        """Get a token by ``deadline`` (monotonic seconds), where one is needed. Raises ProbeFailedError."""
        target, environment = self.target, self.target.environment
        if target.issuer is not None:
            self._token = await access_token(
                target.issuer, environment.outbound, environment.tokens, environment.secrets, deadline
            )
            bearer = (b"authorization", f"Bearer {self._token}".encode())
            self._server = replace(self._server, metadata=(*self._server.metadata, bearer))

    async def begin(self, trace: ProbeTrace) -> None:
        """Get the method, where it is not there yet. Raises ProbeFailedError and DescriptorError."""
        target = self.target
        if self.method is not None:
            return
        try:
            known = target.environment.descriptors.of_server(target.key) or await self._describe(trace)
            self.method = known.method(target.call)
        except MethodNotFoundError:
            self._code = "UNIMPLEMENTED"
            return
        self._message = self.method.request(target.body)

    async def _describe(self, trace: ProbeTrace) -> Descriptors:
        target = self.target
        descriptors = await describe_service(target.key[3], self._server, target.environment.outbound, trace)
        target.environment.descriptors.keep(target.key, descriptors)
        return descriptors

    async def call(self, trace: ProbeTrace) -> None:
        """Call, and read the answer. Raises ProbeFailedError."""
        method, message = self.method, self._message
        assert method is not None
        assert message is not None
        ended = await call_unary(
            self._server,
            method.path,
            [message],
            limit=self.target.body_limit,
            outbound=self.target.environment.outbound,
            trace=trace,
            answer=self._answer,
        )
        self._code = ended.code
        if ended.code != "OK":
            return
        if len(ended.messages) != 1:
            detail = f"the answer holds {len(ended.messages)} messages instead of one"
            raise ProbeFailedError(Failure(Phase.TRANSFER, Cause.PROTOCOL, detail))
        try:
            self._body = method.answer(ended.messages[0])
        except GrpcAnswerError as error:
            raise ProbeFailedError(Failure(Phase.TRANSFER, Cause.ENCODING, str(error))) from error

    def observation(self, trace: ProbeTrace, failure: Failure | None) -> Observation:
        """Return the facts, of a probe that ends now."""
        seen = self._answer.connection
        said = [*seen.headers, *getattr(seen, "trailers", ())] if seen else []
        return Observation(
            time=trace.began,
            duration=perf_counter() - trace.start,
            phases=trace.phases(),
            latency=seen.ended - trace.first_sent if seen and failure is None else None,
            status=seen.status if seen else 0,
            headers=decode_headers(said),
            body=self._body,
            raw_length=seen.raw_length if seen else 0,
            body_length=len(self._body),
            failure=failure,
            certificate=trace.certificate,
            addresses=tuple(trace.addresses),
            protocol=seen.protocol if seen and seen.status else "",
            tls_version=trace.tls_version,
            rpc=RpcFacts(self._code, self._serving(), health=not self.target.call) if self._code else None,
        )

    def _serving(self) -> str:
        """Return what a health check says; a status of later versions is a number."""
        return str(orjson.loads(self._body)["status"]) if self._body and not self.target.call else ""

    async def end(self, deadline: float) -> None:
        """Drop a token that was refused; ask the server again to describe itself, in the time that is left."""
        target = self.target
        if self._code == "UNAUTHENTICATED" and target.issuer is not None:
            target.environment.tokens.drop(target.issuer, self._token)
        if target.method is None and target.environment.descriptors.is_stale(target.key):
            with suppress(TimeoutError, ProbeFailedError, DescriptorError):
                async with asyncio.timeout(deadline - monotonic()):
                    await self._describe(ProbeTrace(deadline, target.ip))
