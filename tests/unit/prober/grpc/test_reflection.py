"""Answers of reflection are read as files, or refused."""

from __future__ import annotations

import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse

from services.prober.grpc.descriptors import DescriptorError, MethodNotFoundError
from services.prober.grpc.reflection import reflected_files


def test_what_reflection_says() -> None:
    """Files come from all answers. An unknown service raises MethodNotFoundError, and other errors are our fault."""
    first, second, unknown, broken = (ServerReflectionResponse() for _ in range(4))
    first.file_descriptor_response.file_descriptor_proto.append(b"a")
    second.file_descriptor_response.file_descriptor_proto.extend([b"b", b"c"])
    unknown.error_response.error_code = 5
    broken.error_response.error_code = 13
    assert reflected_files([first.SerializeToString(), second.SerializeToString()]) == [b"a", b"b", b"c"]
    with pytest.raises(MethodNotFoundError):
        reflected_files([unknown.SerializeToString()])
    with pytest.raises(DescriptorError, match="code 13"):
        reflected_files([broken.SerializeToString()])
