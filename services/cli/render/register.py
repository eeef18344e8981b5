"""What ``peyvand register`` prints of a register."""

from __future__ import annotations

from services.core.model import Register
from services.core.plural import plural


def register_summary(register: Register) -> str:
    """Return what a register lists, and its two versions on lines of their own."""
    absent = sum(link.absent for link in register.links.values())
    sectors = plural(len({agency.sector for agency in register.agencies.values()}), "sector")
    rounds = () if register.evaluation is None else (plural(len(register.evaluation.rounds), "official round"),)
    counts = (
        f"{plural(len(register.agencies), 'agency', 'agencies')} in {sectors}",
        plural(len(register.services), "service"),
        f"{plural(len(register.links), 'link')} ({absent} absent)",
        plural(len(register.endpoints), "endpoint"),
        plural(len(register.probes), "probe"),
        plural(len(register.policy.vantages), "vantage"),
        *rounds,
    )
    versions = f"register_version {register.register_version}\nprobe_version    {register.probe_version}"
    return f"{', '.join(counts)}\n{versions}"
