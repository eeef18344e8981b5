"""Reads probe definitions from probes.yaml."""

from services.register.probes.journey import GIVEN_VARIABLES
from services.register.probes.probes import ProbeDefinition, ProbeDefinitions, read_probes, required_params
from services.register.probes.request_messages import is_grpc_request, is_line, is_soap_action, is_soap_message

__all__ = [
    "GIVEN_VARIABLES",
    "ProbeDefinition",
    "ProbeDefinitions",
    "is_grpc_request",
    "is_line",
    "is_soap_action",
    "is_soap_message",
    "read_probes",
    "required_params",
]
