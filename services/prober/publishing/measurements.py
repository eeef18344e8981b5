"""Makes measurements from the observations of probes."""

from __future__ import annotations

from dataclasses import replace

from services.core.model import Measurement, Reason, Target
from services.prober.assignments import Origin
from services.prober.checks import Judgement
from services.prober.observation import Observation

# Details may name a path or a pattern of any length. Readers refuse long ones.
_DETAIL_LENGTH = 200
_NOTHING = Observation(0.0, 0.0)


def measured(
    target: Target, slot_start: int, observation: Observation, judgement: Judgement, origin: Origin
) -> Measurement:
    """Return the measurement of one probe for the slot that starts at ``slot_start``, epoch seconds."""
    certificate = observation.certificate
    return Measurement(
        target=target,
        vantage=origin.vantage,
        slot_start=slot_start,
        time=observation.time,
        outcome=judgement.outcome,
        reason=judgement.reason,
        latency=observation.latency,
        data_age=judgement.data_age,
        phases=observation.phases,
        certificate_expiry=None if certificate is None else certificate.earliest_expiry,
        detail=judgement.detail[:_DETAIL_LENGTH],
        register_version=origin.register_version,
        probe_version=origin.probe_version,
        prober=origin.prober,
    )


def unmeasured(target: Target, slot_start: int, reason: Reason, detail: str, origin: Origin) -> Measurement:
    """Return a measurement which states that nothing was measured in a slot, and why."""
    return replace(measured(target, slot_start, _NOTHING, Judgement(reason, detail), origin), time=None)
