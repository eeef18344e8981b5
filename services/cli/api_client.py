"""A client of the api for commands: every failure is one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc, register_service_pb2, register_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from services.core.codec import to_timestamp
from services.core.errors import ApiError, SettingsError

_TLS = "tls://"
_TIMEOUT_SECONDS = 10.0
_PAGE_SIZE = 1000

Answer = TypeVar("Answer", bound=Message)


class Client:
    """One api. Kinds and attributes are names as on the command line; every method raises ApiError on failure."""

    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self._address = address
        self._indicators = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        self._register = register_service_pb2_grpc.RegisterServiceStub(channel)

    def timezone(self) -> ZoneInfo:
        """Return the timezone of days (policy.yaml)."""
        register = self._call(self._register.GetRegister, register_service_pb2.GetRegisterRequest())
        return ZoneInfo(register.timezone)

    def get(self, kind: str, entity: str, window_days: int) -> indicator_pb2.Indicator:
        """Return one indicator."""
        request = messages.GetIndicatorRequest(kind=_kind(kind), id=entity, window_days=window_days)
        return self._call(self._indicators.GetIndicator, request).indicator

    def all_of(self, kind: str, window_days: int) -> Iterator[indicator_pb2.Indicator]:
        """Yield every indicator of a kind in id order."""
        request = messages.ListIndicatorsRequest(kind=_kind(kind), window_days=window_days, page_size=_PAGE_SIZE)
        for page in self._pages(self._indicators.ListIndicators, request):
            yield from page.indicators

    def history(
        self, kind: str, entity: str, window_days: int, *, since: float | None, until: float | None
    ) -> Iterator[indicator_pb2.Indicator]:
        """Yield what was published of an entity as of [since, until) in epoch seconds, oldest first."""
        span = {name: to_timestamp(moment) for name, moment in (("from", since), ("to", until)) if moment is not None}
        request = messages.GetHistoryRequest(
            kind=_kind(kind),
            id=entity,
            window_days=window_days,
            page_size=_PAGE_SIZE,
            **span,  # type: ignore[arg-type]  # `from` is a keyword, so no argument can be named so
        )
        for page in self._pages(self._indicators.GetHistory, request):
            yield from page.indicators

    def explain(self, kind: str, entity: str, window_days: int, limit: int) -> messages.ExplainIndicatorResponse:
        """Return what one indicator is made of."""
        request = messages.ExplainIndicatorRequest(kind=_kind(kind), id=entity, window_days=window_days, limit=limit)
        return self._call(self._indicators.ExplainIndicator, request)

    def structure(self, window_days: int) -> messages.GetStructureResponse:
        """Return which agencies reach each other, and the three bars."""
        request = messages.GetStructureRequest(window_days=window_days)
        return self._call(self._indicators.GetStructure, request)

    def three_bars(self, window_days: int) -> indicator_pb2.ThreeBars | None:
        """Return the three bars, None before a first index is published."""
        try:
            return self.structure(window_days).three_bars
        except ApiError as error:
            if not isinstance(error.__cause__, grpc.Call) or error.__cause__.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return None

    def tabulate(self, attribute: str, window_days: int) -> messages.TabulateIndicatorsResponse:
        """Return the index by an attribute."""
        number = messages.TabulatedAttribute.Value(f"TABULATED_ATTRIBUTE_{attribute.upper()}")
        request = messages.TabulateIndicatorsRequest(attribute=number, window_days=window_days)
        return self._call(self._indicators.TabulateIndicators, request)

    def traffic(self, window_days: int) -> messages.GetTrafficResponse:
        """Return what the buses carried, and what of it no link is listed for."""
        return self._call(self._indicators.GetTraffic, messages.GetTrafficRequest(window_days=window_days))

    def links_with_findings(self, window_days: int) -> Iterator[messages.LinkStatus]:
        """Yield each link that is silent, disagreeing or unusual, once, by finding and then in id order."""
        seen: set[str] = set()
        for finding in filter(None, messages.LinkFinding.values()):
            request = messages.ListLinksRequest(finding=finding, window_days=window_days, page_size=_PAGE_SIZE)
            for page in self._pages(self._indicators.ListLinks, request):
                for status in page.links:
                    if status.link.id not in seen:
                        seen.add(status.link.id)
                        yield status

    def rounds(self) -> register_service_pb2.ListEvaluationRoundsResponse:
        """Return the official rounds that the register in force lists."""
        return self._call(self._register.ListEvaluationRounds, register_service_pb2.ListEvaluationRoundsRequest())

    def _pages(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """Yield page after page of a method whose request has a page token."""
        while True:
            page = self._call(method, request)
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def _call(self, method: Callable[..., Answer], request: Message) -> Answer:
        try:
            return method(request, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise ApiError(self._sentence(error)) from error

    def _sentence(self, error: grpc.RpcError) -> str:
        assert isinstance(error, grpc.Call)
        if rpc_status.from_call(error) is not None:
            return f"api at {self._address}: {error.details()}"
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"api at {self._address} did not answer within {_TIMEOUT_SECONDS:g} s: try again or name another with --api"
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return f"api at {self._address} does not answer: start it with `peyvand up` or name another with --api"
        return f"what answers at {self._address} is no api of ours ({error.code().name}): name another with --api"


@contextmanager
def open_client(address: str) -> Iterator[Client]:
    """Connect to the api at HOST:PORT or tls://HOST:PORT. Raises SettingsError."""
    # Without the HTTP proxy that the environment may name: the api is on this machine or this network.
    options = [("grpc.enable_http_proxy", 0)]
    target = address.removeprefix(_TLS)
    with (
        grpc.secure_channel(target, _credentials(), options)
        if address.startswith(_TLS)
        else grpc.insecure_channel(target, options)
    ) as channel:
        yield Client(address, channel)


def _credentials() -> grpc.ChannelCredentials:
    """Read the PEM files that the environment names: PEYVAND_API_CA, PEYVAND_API_CERTIFICATE and PEYVAND_API_KEY."""

    def read(name: str) -> bytes | None:
        path = os.environ.get(f"PEYVAND_API_{name}")
        try:
            return Path(path).read_bytes() if path else None
        except OSError as error:
            raise SettingsError(f"PEYVAND_API_{name} cannot be read: {error}") from error

    certificate, key = read("CERTIFICATE"), read("KEY")
    if (certificate is None) != (key is None):
        raise SettingsError("PEYVAND_API_CERTIFICATE needs PEYVAND_API_KEY: name both files")
    return grpc.ssl_channel_credentials(read("CA"), key, certificate)


def _kind(label: str) -> indicator_pb2.IndicatorKind.ValueType:
    return indicator_pb2.IndicatorKind.Value(f"INDICATOR_KIND_{label.upper()}")
