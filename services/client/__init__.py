"""The Python client of the api: typed calls with deadlines, lists, watches, and errors of one sentence (docs/api.md)."""

from peyvand.v1.indicator_service_pb2 import PairLevel
from services.client.certificates import TlsFiles
from services.client.client import Client
from services.client.connection import connect
from services.core.errors import (
    ApiError,
    ApiForbiddenError,
    ApiNotApplicableError,
    ApiNotFoundError,
    ApiUnavailableError,
)
from services.core.model import IndicatorKind

__all__ = [
    "ApiError",
    "ApiForbiddenError",
    "ApiNotApplicableError",
    "ApiNotFoundError",
    "ApiUnavailableError",
    "Client",
    "IndicatorKind",
    "PairLevel",
    "TlsFiles",
    "connect",
]
