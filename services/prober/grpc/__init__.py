"""gRPC calls over HTTP/2, and the descriptors that describe their methods."""

from services.prober.grpc.call import (
    GrpcServer,
    call_unary,
    metadata_of,
)
from services.prober.grpc.descriptor_cache import (
    Key,
    Schemas,
)
from services.prober.grpc.descriptors import (
    HEALTH_CHECK,
    AbsentError,
    AnswerError,
    DescriptorError,
    Descriptors,
    Method,
)
from services.prober.grpc.reflection import describe

__all__ = [
    "HEALTH_CHECK",
    "AbsentError",
    "AnswerError",
    "DescriptorError",
    "Descriptors",
    "GrpcServer",
    "Key",
    "Method",
    "Schemas",
    "call_unary",
    "describe",
    "metadata_of",
]
