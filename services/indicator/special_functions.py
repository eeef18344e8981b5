"""The special functions of scipy that formulas use. Pure."""

from __future__ import annotations

from services.indicator.numpy_names import only_what_is_loaded

with only_what_is_loaded():
    from scipy.special import betaln, gammaincinv, ndtri, stdtrit

__all__ = ["betaln", "gammaincinv", "ndtri", "stdtrit"]
