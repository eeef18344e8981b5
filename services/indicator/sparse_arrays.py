"""The sparse arrays of scipy that formulas use. Pure."""

from __future__ import annotations

from services.indicator.numpy_names import only_what_is_loaded

with only_what_is_loaded():
    from scipy.sparse import coo_array, csr_array

__all__ = ["coo_array", "csr_array"]
