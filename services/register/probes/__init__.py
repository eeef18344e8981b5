"""Probe definitions as probes.yaml states them."""

from services.register.probes.grpc_call import is_request
from services.register.probes.journey import GIVEN
from services.register.probes.probes import Definition, Probes, names_asked, read_probes
from services.register.probes.references import as_written
from services.register.probes.soap_message import is_action, is_message

__all__ = [
    "GIVEN",
    "Definition",
    "Probes",
    "as_written",
    "is_action",
    "is_message",
    "is_request",
    "names_asked",
    "read_probes",
]
