"""Holds one module for each kind of probe, which takes a definition and a target and returns an observation."""

from services.prober.kinds.by_name import KINDS_BY_NAME
from services.prober.kinds.http import build_http_target
from services.prober.kinds.http import probe as probe_http
from services.prober.kinds.kind import JourneyResult, ProbeEnvironment, ProbeKind
from services.prober.kinds.tcp import prepare as prepare_tcp
from services.prober.kinds.tcp import probe as probe_tcp

__all__ = [
    "KINDS_BY_NAME",
    "JourneyResult",
    "ProbeEnvironment",
    "ProbeKind",
    "build_http_target",
    "prepare_tcp",
    "probe_http",
    "probe_tcp",
]
