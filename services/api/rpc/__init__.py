"""Serves the api over gRPC: servicers, handlers, and the statuses of errors."""

from services.api.rpc.handlers import Conduct, Context, RequestMetrics, service_handlers
from services.api.rpc.indicator_service import IndicatorServicer
from services.api.rpc.limits import PeerLimits
from services.api.rpc.reflection import reflection_services
from services.api.rpc.register_service import RegisterServicer

__all__ = [
    "Conduct",
    "Context",
    "IndicatorServicer",
    "PeerLimits",
    "RegisterServicer",
    "RequestMetrics",
    "reflection_services",
    "service_handlers",
]
