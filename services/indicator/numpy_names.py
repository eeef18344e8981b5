"""Keeps numpy from loading unused modules while scipy is loaded. Pure.

scipy re-exports every name of numpy, and for that numpy loads its f2py, its tests and other packages. These are 60
modules and 7 MiB in each process that computes an index (docs/performance-log.md, "What does not depend on the rate").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

_LISTS: Final[tuple[str, ...]] = ("__all__", "__numpy_submodules__")
"""The attributes in which numpy lists the names that ``from numpy import *`` and ``dir`` load."""


@contextmanager
def only_what_is_loaded() -> Iterator[None]:
    """Make numpy list only the names that it has loaded."""
    names: dict[str, Any] = vars(np)
    kept = {name: names[name] for name in _LISTS if name in names}
    names.update({name: type(value)(one for one in value if one in names) for name, value in kept.items()})
    try:
        yield
    finally:
        names.update(kept)
