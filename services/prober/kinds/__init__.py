"""One module per kind of probe: a definition and a target in, an observation out."""

from services.prober.kinds.by_name import KINDS
from services.prober.kinds.http import (
    HttpTarget,
    http_target,
)
from services.prober.kinds.kind import ProbeKind

__all__ = ["KINDS", "HttpTarget", "ProbeKind", "http_target"]
