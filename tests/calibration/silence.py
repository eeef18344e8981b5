"""``make calibrate ARGS=silence`` measures how often links in use are called silent, and how often unused ones are.

Links of a bus differ widely in use: some exchange all day, some once a month, and holidays stop them all. A false flag
is on a link in use that happened to exchange nothing. A link is found if it is flagged and not used at all, or no
longer. Figures are by the number of days read and by window. The cases and the seed are older than the rule that they
try.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.indicator.exchanges.silence import judge_silence

SEED = 20_261_126
READ_DAYS = (1, 3, 7, 14, 28, 60, 90)
WINDOWS = (7, 28, 90)
LINKS = 2_000
UNUSED = 0.2
"""The number of unused links, as a share of those in use."""


@dataclass(frozen=True)
class Case:
    """A bus of ``links`` in use.

    Each exchanges ``daily`` a day in the median, with ``spread`` in logarithms between links. ``weekly`` and
    ``monthly`` are the shares of links that do so only on one day of seven or of thirty. ``weekend`` is the share left
    on two days of seven. From the first to the second day of ``holiday``, counted from the end, all do a fiftieth.
    ``bursts`` is the deviation of the logarithm of one day's use.
    """

    name: str
    links: int = LINKS
    daily: float = 200.0
    spread: float = 1.0
    weekly: float = 0.0
    monthly: float = 0.0
    weekend: float = 0.3
    holiday: tuple[int, int] = (0, 0)
    bursts: float = 0.5


CASES = (
    Case("lively"),
    Case("working days", daily=5, weekend=0.0),
    Case("wide", daily=2, spread=2.0),
    Case("rare", daily=0.2),
    Case("weekly, all", daily=20, weekly=1.0),
    Case("monthly, a third", daily=20, monthly=0.33),
    Case("monthly, all", daily=20, monthly=1.0),
    Case("holidays", daily=5, holiday=(16, 3)),
    Case("forty links", links=40, daily=2, spread=2.0),
    Case("bursts", daily=2, bursts=2.0),
)


def use(case: Case, days: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return exchanges by day, (links, days), of links in use."""
    own = case.daily * rng.lognormal(0, case.spread, (case.links, 1))
    day = np.arange(days)[None, :] + rng.integers(0, 7)
    kind, turn = rng.random((case.links, 1)), rng.integers(0, 210, (case.links, 1))
    open_days = np.where(day % 7 >= 5, case.weekend, 1.0) * np.ones((case.links, 1))
    weekly, monthly = (day - turn) % 7 == 0, (day - turn) % 30 == 0
    open_days = np.where(kind < case.weekly + case.monthly, weekly.astype(float), open_days)
    open_days = np.where(kind < case.monthly, monthly.astype(float), open_days)
    first, last = case.holiday
    away = (np.arange(days) >= days - first) & (np.arange(days) < days - last)
    expected = own * open_days * np.where(away, 0.02, 1.0)[None, :]
    return rng.poisson(expected * rng.lognormal(-(case.bursts**2) / 2, case.bursts, expected.shape))


def main() -> None:
    """Print a line per case, window and days read."""
    print(f"Silence, seed {SEED}, {LINKS:,} links in use a line: how many are called silent, and how many chance kept")  # noqa: T201
    print("quiet; of those never used, and of those used until the window began, how many are found")  # noqa: T201
    for number, case in enumerate(CASES):
        for window in WINDOWS:
            for read in READ_DAYS:
                if read >= window or window == WINDOWS[-1]:
                    print(silence_line(case, window, read, (SEED, number, read)), flush=True)  # noqa: T201


def silence_line(case: Case, window: int, read: int, seed: tuple[int, ...]) -> str:
    """Return the false flags of one case, and the links found, over as many buses as make LINKS links."""
    begin, idle = max(0, read - window), round(case.links * UNUSED)
    told = []
    for turn in range(LINKS // case.links):
        used = use(case, read, np.random.default_rng((*seed, turn))) > 0
        left = used[:idle].copy()
        left[:, begin:] = False
        found = judge_silence(np.concatenate([used, np.zeros_like(left), left]), begin).silent
        quiet = ~used[:, begin:].any(axis=1)
        told.append([part.mean() for part in (*np.split(found, [case.links, case.links + idle]), quiet)])
    false, never, fell, quiet_share = np.mean(told, axis=0).tolist()
    gone = f"  fell silent {fell:.3f}" if begin else ""
    return (
        f"{case.name:18} {window:2} d, {read:2} read  false flags {false:.4f}  quiet {quiet_share:.4f}  "
        f"never used {never:.3f}{gone}"
    )
