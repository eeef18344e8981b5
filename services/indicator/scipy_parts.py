"""The parts of scipy that formulas use, each loaded when a formula first needs it. Pure.

The api imports the formulas, and calls none that needs scipy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.indicator.array_types import Floats, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["SparseRows", "betaln", "gammaincinv", "ndtri", "sparse_rows", "stdtrit", "weak_components"]

SparseRows: TypeAlias = "csr_array[Any, tuple[int, int]]"

_LISTS: Final[tuple[str, ...]] = ("__all__", "__numpy_submodules__")
"""The attributes in which numpy lists the names that ``from numpy import *`` and ``dir`` load."""

_ONE_THREAD: Final = Lock()


def betaln(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the logarithm of the beta function."""
    values: Floats = _special().betaln(a, b)
    return values


def gammaincinv(shape: ArrayLike, probability: ArrayLike) -> Floats:
    """Return quantiles of the gamma distribution of scale 1."""
    values: Floats = _special().gammaincinv(shape, probability)
    return values


def ndtri(probability: ArrayLike) -> Floats:
    """Return quantiles of the normal distribution."""
    values: Floats = _special().ndtri(probability)
    return values


def stdtrit(freedom: ArrayLike, probability: ArrayLike) -> Floats:
    """Return quantiles of Student's distribution."""
    values: Floats = _special().stdtrit(freedom, probability)
    return values


def sparse_rows(values: ArrayLike, columns: Ints, ends: Ints, width: int | None = None) -> SparseRows:
    """Return sparse rows of ``values`` in ``columns``; row i has those from ``ends[i]`` up to ``ends[i + 1]``."""
    shape = None if width is None else (len(ends) - 1, width)
    rows: SparseRows = _sparse().csr_array((values, columns, ends), shape=shape)
    return rows


def weak_components(start: Ints, end: Ints, nodes: int) -> NDArray[np.int32]:
    """Return the number of the weak component of each node, given the nodes at which each edge starts and ends."""
    graph = _sparse().coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(nodes, nodes))
    component: NDArray[np.int32] = _sparse().csgraph.connected_components(graph, directed=True, connection="weak")[1]
    return component


@cache
def _special() -> ModuleType:
    with _only_what_is_loaded():
        import scipy.special  # noqa: PLC0415  # see above
    return scipy.special


@cache
def _sparse() -> ModuleType:
    with _only_what_is_loaded():
        import scipy.sparse.csgraph  # noqa: PLC0415  # see above
    return scipy.sparse


@contextmanager
def _only_what_is_loaded() -> Iterator[None]:
    """Make numpy list only the names that it has loaded.

    scipy re-exports every name of numpy, and for that numpy loads its f2py, its tests and other packages. These are 60
    modules and 7 MiB (docs/performance-log.md, "What does not depend on the rate").
    """
    names: dict[str, Any] = vars(np)
    with _ONE_THREAD:  # a second one would take the shorter lists for numpy's, and leave them there
        kept = {name: names[name] for name in _LISTS if name in names}
        names.update({name: type(value)(one for one in value if one in names) for name, value in kept.items()})
        try:
            yield
        finally:
            names.update(kept)
