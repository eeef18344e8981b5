"""Damage for Hypothesis: inputs with a few bytes changed, cut, repeated or inserted."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["damaged"]

_MOST_CHANGES = 5
_LONGEST_CUT = 40
_PIECES = (
    b"\x00",
    b"\xff",
    b"\n",
    b'"',
    b"{",
    b"[",
    b"<",
    b",",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"[" * 500,
    b"\xed\xa0\x80",
)


@st.composite
def damaged(draw: st.DrawFn, seed: bytes) -> bytes:
    """Return a seed with up to five places damaged."""
    data = seed
    for _ in range(draw(st.integers(0, _MOST_CHANGES))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, _LONGEST_CUT)))
        repeated = data[start:end] * 2
        data = data[:start] + draw(st.sampled_from((b"", repeated, *_PIECES)) | st.binary(max_size=4)) + data[end:]
    return data
