"""Names of the array types that signatures use."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Counts = NDArray[np.unsignedinteger[Any]]
"""Counts of slots, in the smallest type that holds them."""

Codes = NDArray[np.int8]
"""Stages, verdicts, states or levels; -1 where unknown."""

Numbers = NDArray[Any]
