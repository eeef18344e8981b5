"""Runs the servers on loopback: sites, replies, connections and certificates."""

from services.sandbox.servers.certificates import CA, open_authority
from services.sandbox.servers.replies import NOT_FOUND, OK, ReceivedRequest, ServerReply, response
from services.sandbox.servers.servers import Servers, check_addresses
from services.sandbox.servers.sites import addresses, make_sites

__all__ = [
    "CA",
    "NOT_FOUND",
    "OK",
    "ReceivedRequest",
    "ServerReply",
    "Servers",
    "addresses",
    "check_addresses",
    "make_sites",
    "open_authority",
    "response",
]
