"""gRPC calls over HTTP/2, and the descriptors of their methods."""

from services.prober.grpc.by_worker import decode_answer, reflected_descriptors
from services.prober.grpc.call import GrpcServer, call_metadata, call_unary
from services.prober.grpc.descriptor_cache import DescriptorCache, ServiceKey
from services.prober.grpc.descriptors import (
    HEALTH_CHECK,
    DescriptorError,
    Descriptors,
    GrpcAnswerError,
    GrpcMethod,
    MethodNotFoundError,
)
from services.prober.grpc.reflection import describe_service

__all__ = [
    "HEALTH_CHECK",
    "DescriptorCache",
    "DescriptorError",
    "Descriptors",
    "GrpcAnswerError",
    "GrpcMethod",
    "GrpcServer",
    "MethodNotFoundError",
    "ServiceKey",
    "call_metadata",
    "call_unary",
    "decode_answer",
    "describe_service",
    "reflected_descriptors",
]
