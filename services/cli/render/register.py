"""What ``peyvand register`` prints of a register."""

from __future__ import annotations

from services.core.model import Register


def register_summary(register: Register) -> str:
    """Return what a register lists, and its two versions on lines of their own."""
    absent = sum(link.absent for link in register.links.values())
    sectors = _count(len({agency.sector for agency in register.agencies.values()}), "sector")
    rounds = () if register.evaluation is None else (_count(len(register.evaluation.rounds), "official round"),)
    counts = (
        f"{_count(len(register.agencies), 'agency', 'agencies')} in {sectors}",
        _count(len(register.services), "service"),
        f"{_count(len(register.links), 'link')} ({absent} absent)",
        _count(len(register.endpoints), "endpoint"),
        _count(len(register.probes), "probe"),
        _count(len(register.policy.vantages), "vantage"),
        *rounds,
    )
    versions = f"register_version {register.register_version}\nprobe_version    {register.probe_version}"
    return f"{', '.join(counts)}\n{versions}"


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"
