"""Makes one gRPC probe: token, reflection, call, answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic

import orjson

from services.core.model import Probe
from services.prober.checks import TooCostlyError, UnjudgedError
from services.prober.grpc import (
    DescriptorError,
    GrpcAnswerError,
    GrpcMethod,
    GrpcServer,
    MethodNotFoundError,
    ServiceKey,
    call_unary,
    decode_answer,
    describe_service,
    reflected_descriptors,
)
from services.prober.http import Http2Connection, TokenIssuer, access_token, decode_headers
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Cause, Failure, Observation, Phase, RpcFacts
from services.prober.transport import ProbeFailedError, ProbeTrace


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


class GrpcCall:
    """One call and what it needs. ``method`` is None until it is known."""

    def __init__(self, target: GrpcTarget) -> None:
        self.method = target.method
        self._target = target
        self._message = target.message
        self._server = target.server
        self._token = ""
        self._code = ""
        self._files: tuple[bytes, ...] = ()
        self._answer: bytes | None = None

    async def authorize(self, issuer: TokenIssuer, deadline: float) -> None:
        """Add a token, obtained by ``deadline`` (monotonic seconds), to the metadata. Raises ProbeFailedError."""
        environment = self._target.environment
        self._token = await access_token(
            issuer, environment.outbound, environment.tokens, environment.secrets, deadline
        )
        bearer = (b"authorization", f"Bearer {self._token}".encode())
        self._server = replace(self._server, metadata=(*self._server.metadata, bearer))

    async def reflect(self, trace: ProbeTrace) -> None:
        """Ask the server for the files that describe the service, unless they are known.

        Raises ProbeFailedError and DescriptorError.
        """
        if self._target.environment.descriptors.of_server(self._target.key) is None:
            try:
                await self._fetch_files(trace)
            except MethodNotFoundError:
                self._code = "UNIMPLEMENTED"

    async def _fetch_files(self, trace: ProbeTrace) -> None:
        target = self._target
        try:
            self._files = await describe_service(target.key[3], self._server, target.environment.outbound, trace)
        finally:
            trace.connection = None  # its answer is not the target's

    async def find_method(self, deadline: float) -> None:
        """Find the method in what reflection returned, now or before. It stays None if that lacks the method.

        Raises UnusableError and UnjudgedError.
        """
        target = self._target
        if self._files:
            await self._use_files(deadline)
        descriptors = target.environment.descriptors.of_server(target.key)
        if descriptors is None:
            return
        try:
            self.method = descriptors.method(target.definition.call)
        except MethodNotFoundError:
            self._code = "UNIMPLEMENTED"
            return
        self._message = self.method.request(target.definition.body)

    async def _use_files(self, deadline: float) -> None:
        target, environment = self._target, self._target.environment
        descriptors = await reflected_descriptors(
            self._files, target.definition.call, environment.workers, deadline, environment.provider
        )
        environment.descriptors.keep(target.key, descriptors)

    async def make(self, trace: ProbeTrace) -> None:
        """Make the call. Raises ProbeFailedError."""
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
        (self._answer,) = result.messages

    async def decode(self, observation: Observation, deadline: float) -> Observation:
        """Return the observation with the answer as JSON. A worker decodes a large answer. Raises UnjudgedError."""
        if self._answer is None:
            return observation
        environment = self._target.environment
        assert self.method is not None
        try:
            body = await decode_answer(self.method, self._answer, environment.workers, deadline, environment.provider)
        except (GrpcAnswerError, TooCostlyError) as error:
            cause = Cause.ENCODING if isinstance(error, GrpcAnswerError) else Cause.TOO_COSTLY
            return replace(observation, latency=None, failure=Failure(Phase.TRANSFER, cause, str(error)))
        rpc = observation.rpc
        if rpc is not None and rpc.health:
            rpc = replace(rpc, serving=str(orjson.loads(body)["status"]))  # a status of a later version is a number
        return replace(observation, body=body, body_length=len(body), rpc=rpc)

    def observation(self, trace: ProbeTrace, failure: Failure | None) -> Observation:
        """Return the facts of a probe that ends now."""
        rpc = RpcFacts(self._code, health=not self._target.definition.call) if self._code else None
        answer = trace.connection
        if not isinstance(answer, Http2Connection):
            return trace.observation(failure, None, rpc=rpc)
        return trace.observation(
            failure,
            None if failure else answer.ended - trace.first_sent,
            rpc=rpc,
            status=answer.status,
            headers=decode_headers([*answer.headers, *answer.trailers]),
            raw_length=answer.raw_length,
            protocol=answer.protocol if answer.status else "",
        )

    async def finish(self, deadline: float) -> None:
        """Drop a refused token. Repeat the reflection if it is due and there is time left."""
        target = self._target
        if self._code == "UNAUTHENTICATED" and target.issuer is not None:
            target.environment.tokens.drop(target.issuer, self._token)
        if target.method is None and target.environment.descriptors.is_stale(target.key):
            with suppress(TimeoutError, ProbeFailedError, DescriptorError, UnjudgedError):
                async with asyncio.timeout(deadline - monotonic()):
                    await self._fetch_files(ProbeTrace(deadline, target.definition.ip))
                    await self._use_files(deadline)
