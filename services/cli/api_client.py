"""Asks the api over gRPC; whatever fails becomes one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from peyvand.v1 import (
    indicator_pb2,
    indicator_service_pb2,
    indicator_service_pb2_grpc,
    register_service_pb2,
    register_service_pb2_grpc,
)
from services.core.codec import to_timestamp
from services.core.errors import ApiError, SettingsError
from services.core.model import IndicatorKind

__all__ = ["ATTRIBUTES", "Client", "client"]

_TLS = "tls://"
_SECONDS = 10.0
_PAGE = 1000
_ATTRIBUTE = "TABULATED_ATTRIBUTE_"

Answer = TypeVar("Answer", bound=Message)

ATTRIBUTES = ("channel", "sector", "staff", "satisfaction", "agency")
"""What can be tabulated: peyvand.v1.TabulatedAttribute in words."""


class Client:
    """One api. Every method raises ApiError when it refuses or does not answer."""

    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self._address = address
        self._stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        self._register = register_service_pb2_grpc.RegisterServiceStub(channel)

    def timezone(self) -> ZoneInfo:
        """Return the timezone that days are in (policy.yaml)."""
        register = self._ask(self._register.GetRegister, register_service_pb2.GetRegisterRequest())
        return ZoneInfo(register.timezone)

    def history(
        self, kind: IndicatorKind, entity: str, window_days: int, *, since: float | None, until: float | None
    ) -> Iterator[indicator_pb2.Indicator]:
        """Yield what was published of an entity as of [since, until) in epoch seconds, oldest first, page after page."""
        span = {name: to_timestamp(at) for name, at in (("from", since), ("to", until)) if at is not None}
        request = indicator_service_pb2.GetHistoryRequest(
            kind=_number(kind),
            id=entity,
            window_days=window_days,
            page_size=_PAGE,
            **span,  # type: ignore[arg-type]  # `from` is a keyword, so no argument can be named so
        )
        while True:
            page = self._ask(self._stub.GetHistory, request)
            yield from page.indicators
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def get(self, kind: IndicatorKind, entity: str, window_days: int) -> indicator_pb2.Indicator:
        """Return one indicator."""
        request = indicator_service_pb2.GetIndicatorRequest(kind=_number(kind), id=entity, window_days=window_days)
        return self._ask(self._stub.GetIndicator, request).indicator

    def all_of(self, kind: IndicatorKind, window_days: int) -> Iterator[indicator_pb2.Indicator]:
        """Yield every indicator of a kind in id order, page after page."""
        token = ""
        while True:
            request = indicator_service_pb2.ListIndicatorsRequest(
                kind=_number(kind), window_days=window_days, page_size=_PAGE, page_token=token
            )
            page = self._ask(self._stub.ListIndicators, request)
            yield from page.indicators
            token = page.next_page_token
            if not token:
                return

    def explain(
        self, kind: IndicatorKind, entity: str, window_days: int, limit: int
    ) -> indicator_service_pb2.ExplainIndicatorResponse:
        """Return what one indicator is made of."""
        request = indicator_service_pb2.ExplainIndicatorRequest(
            kind=_number(kind), id=entity, window_days=window_days, limit=limit
        )
        return self._ask(self._stub.ExplainIndicator, request)

    def structure(self, window_days: int) -> indicator_service_pb2.GetStructureResponse:
        """Return how the agencies hang together, and the three bars."""
        return self._ask(self._stub.GetStructure, indicator_service_pb2.GetStructureRequest(window_days=window_days))

    def tabulate(self, attribute: str, window_days: int) -> indicator_service_pb2.TabulateIndicatorsResponse:
        """Return the index by an attribute, one of ATTRIBUTES."""
        number = indicator_service_pb2.TabulatedAttribute.Value(f"{_ATTRIBUTE}{attribute.upper()}")
        request = indicator_service_pb2.TabulateIndicatorsRequest(attribute=number, window_days=window_days)
        return self._ask(self._stub.TabulateIndicators, request)

    def traffic(self, window_days: int) -> indicator_service_pb2.GetTrafficResponse:
        """Return what the buses carried, and what of it no link is listed for."""
        return self._ask(self._stub.GetTraffic, indicator_service_pb2.GetTrafficRequest(window_days=window_days))

    def found(self, window_days: int) -> Iterator[indicator_service_pb2.LinkStatus]:
        """Yield each link that is silent, disagreeing or unusual, once, by finding and then in id order."""
        seen: set[str] = set()
        for finding in indicator_service_pb2.LinkFinding.values():
            request = indicator_service_pb2.ListLinksRequest(finding=finding, window_days=window_days, page_size=_PAGE)
            while finding:
                page = self._ask(self._stub.ListLinks, request)
                for one in page.links:
                    if one.link.id not in seen:
                        seen.add(one.link.id)
                        yield one
                request.page_token = page.next_page_token
                if not request.page_token:
                    break

    def rounds(self) -> register_service_pb2.ListEvaluationRoundsResponse:
        """Return the official rounds that the register in force lists."""
        return self._ask(self._register.ListEvaluationRounds, register_service_pb2.ListEvaluationRoundsRequest())

    def _ask(self, method: Callable[..., Answer], request: Message) -> Answer:
        try:
            return method(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise ApiError(self._sentence(error)) from error

    def _sentence(self, error: grpc.RpcError) -> str:
        assert isinstance(error, grpc.Call)
        if rpc_status.from_call(error) is not None:
            return f"api at {self._address}: {error.details()}"
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"api at {self._address} did not answer within {_SECONDS:g} s: try again or name another with --api"
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return f"api at {self._address} does not answer: start it with `peyvand up` or name another with --api"
        return f"what answers at {self._address} is no api of ours ({error.code().name}): name another with --api"


@contextmanager
def client(address: str) -> Iterator[Client]:
    """Connect to the api at HOST:PORT, or tls://HOST:PORT, for as long as the context lasts. Raises SettingsError."""
    # Not by way of the HTTP proxy the environment may name: the api is on this machine or this network.
    options = [("grpc.enable_http_proxy", 0)]
    where = address.removeprefix(_TLS)
    with (
        grpc.secure_channel(where, _credentials(), options)
        if address.startswith(_TLS)
        else grpc.insecure_channel(where, options)
    ) as channel:
        yield Client(address, channel)


def _credentials() -> grpc.ChannelCredentials:
    """What the environment says to trust, and to show: PEM files in PEYVAND_API_CA, _CERTIFICATE and _KEY."""

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


def _number(kind: IndicatorKind) -> indicator_pb2.IndicatorKind.ValueType:
    return indicator_pb2.IndicatorKind.ValueType(kind)
