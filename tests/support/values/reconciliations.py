"""Reconciliations of links with every field set, for tests that encode, store and show them."""

from __future__ import annotations

from services.core.model.reconciliation import BusTraffic, Estimate, Reconciliation, Traffic, Undeclared, Volume

__all__ = ["LAST_HOUR", "LOOKED_AT", "disagreeing", "silent", "traffic"]

LOOKED_AT = 1_789_999_800
"""When exchanges were reconciled: a slot before the index of tests.support.cases.api.blocks."""

LAST_HOUR = 1_789_992_000


def disagreeing(link: str = "deed-civil", window_days: int = 28) -> Reconciliation:
    """Return a shared link whose logs are far worse than its probes and whose volume is unusual; every field is set."""
    return Reconciliation(
        link=link,
        window_days=window_days,
        exchanges=1234,
        ok=1111,
        shared=True,
        silent=False,
        compared=1200,
        logs=Estimate(0.9, 0.8, 0.95),
        probes=Estimate(1.0, 0.99, 1.0),
        difference=Estimate(-0.1, -0.2, -0.05),
        disagrees=True,
        volume=Volume(10, 120.5, -0.25, unusual=True),
        as_of=LOOKED_AT,
        last_hour=LAST_HOUR,
    )


def silent(link: str = "deed-tax", window_days: int = 28) -> Reconciliation:
    """Return a link without any exchange."""
    return Reconciliation(link, window_days, 0, shared=False, silent=True, as_of=LOOKED_AT)


def traffic(window_days: int = 28) -> Traffic:
    """Return traffic with a long history. One percent of it belongs to no agency."""
    undeclared = (Undeclared("_unmapped", "customs", 20, 19),)
    return Traffic(
        window_days,
        exchanges=2000,
        undeclared_exchanges=20,
        undeclared_pairs=1,
        buses=(BusTraffic("xroad", 2000),),
        undeclared=undeclared,
        read_days=60.5,
        unseen_share=0.002,
        as_of=LOOKED_AT,
    )
