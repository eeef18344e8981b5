"""Draws a simulated government from a name and a seed: its register, records and addresses."""

from services.sandbox.scenario.addresses import ServedLink, security_host
from services.sandbox.scenario.records import FAMILIES, RecordFamily, encode_record
from services.sandbox.scenario.scenario import ALIAS, BUS, MEMBER, Scenario, make_scenario

__all__ = [
    "ALIAS",
    "BUS",
    "FAMILIES",
    "MEMBER",
    "RecordFamily",
    "Scenario",
    "ServedLink",
    "encode_record",
    "make_scenario",
    "security_host",
]
