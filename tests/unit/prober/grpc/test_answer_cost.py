"""An answer is decoded in the loop up to a size that depends on its type."""

from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1.health_pb2 import HealthCheckResponse

from services.prober.grpc.answer_cost import decoded_at_once
from services.prober.grpc.descriptors import Descriptors


def _at_once(wide: int, *, repeated: bool) -> int:
    """Return the size limit of an answer that holds messages with this many fields, once or repeatedly."""
    file = FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
    inner = file.message_type.add(name="Inner")
    for number in range(1, wide + 1):
        inner.field.add(name=f"f{number}", number=number, label=1, type=5)
    answer = file.message_type.add(name="Answer")
    answer.field.add(name="one", number=1, label=3 if repeated else 1, type=11, type_name=".a.Inner")
    file.service.add(name="S").method.add(name="M", input_type=".a.Inner", output_type=".a.Answer")
    return Descriptors([file.SerializeToString()]).method("a.S/M").at_once


def test_an_answer_of_single_values_is_decoded_at_any_usual_size() -> None:
    """A type without repeated values and messages is decoded in the loop up to a megabyte."""
    assert decoded_at_once(HealthCheckResponse) == 1 << 20


@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize(("wide", "size"), [(1, 4096), (20, 2000), (200, 200), (6000, 0)])
def test_the_size_falls_with_the_fields_that_are_written_out(wide: int, size: int, repeated: bool) -> None:
    """The more fields a message type has, the fewer bytes are decoded in the loop. With thousands, none are."""
    assert _at_once(wide, repeated=repeated) == size


def test_types_that_hold_themselves_or_anything() -> None:
    """A recursive type has a size too. A type that may hold any other is never decoded in the loop."""
    assert 0 < decoded_at_once(Struct) <= 4096
    assert decoded_at_once(Any) == 0
