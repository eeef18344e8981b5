"""What benchmarks use of tests/integration: its authority, and its servers where writing others would be a project."""

from __future__ import annotations

import sys

from tests.running import ROOT

sys.path.append(str(ROOT / "tests" / "integration"))  # its modules import one another by their bare names

from grpc_servers import CALL, grpc_serving
from http2_servers import replies, serving_http2
from line_servers import says_in_turn, talking
from prober_authority import Authority

__all__ = ["CALL", "Authority", "grpc_serving", "replies", "says_in_turn", "serving_http2", "talking"]
