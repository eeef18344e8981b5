"""One module per kind of probe: a definition and a target in, an observation out."""

from services.prober.kinds.by_name import KINDS_BY_NAME
from services.prober.kinds.http import probe as probe_http
from services.prober.kinds.http_target import HttpTarget, build_http_target
from services.prober.kinds.kind import JourneyResult, ProbeKind

__all__ = ["KINDS_BY_NAME", "HttpTarget", "JourneyResult", "ProbeKind", "build_http_target", "probe_http"]
