"""The memory of components over time, as a chart. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 360, 60, 130, 20, 40
_COLOURS = ("#1b6ca8", "#c0392b", "#27864a", "#8e44ad", "#b9770e", "#117a8b", "#5d6d7e", "#a04060", "#4a6b1c")


def memory_chart(samples: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return an SVG with a line for each component: simulated hours to the right, MiB upwards from 0."""
    hours = max(hour for ours in samples.values() for hour, _ in ours) or 1.0
    most = 1.1 * max(mib for ours in samples.values() for _, mib in ours)
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(hour: float) -> float:
        return _LEFT + wide * hour / hours

    def y(mib: float) -> float:
        return _TOP + high * (1 - mib / most)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<path d="M{_LEFT} {_TOP}V{_TOP + high}H{_LEFT + wide}" fill="none" stroke="#444"/>',
    ]
    for step in range(5):
        mib, hour = most * step / 4, hours * step / 4
        parts.append(f'<text x="{_LEFT - 6}" y="{y(mib) + 4:.1f}" text-anchor="end">{mib:,.0f} MiB</text>')
        parts.append(f'<text x="{x(hour):.1f}" y="{_TOP + high + 16}" text-anchor="middle">{hour:.1f} h</text>')
    by_end = sorted(samples.items(), key=lambda item: -item[1][-1][1])
    below = 0.0
    for number, (name, ours) in enumerate(by_end):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{x(hour):.1f},{y(mib):.1f}" for hour, mib in ours)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        below = max(below + 13, y(ours[-1][1]) + 4)  # so that names do not overlap
        parts.append(f'<text x="{_LEFT + wide + 6}" y="{below:.1f}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])
