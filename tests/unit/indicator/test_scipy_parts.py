"""The parts of scipy are loaded when they are needed, and bring no unused part of numpy with them."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from services.indicator import scipy_parts
from services.indicator.scipy_parts import sparse_rows, weak_components

_LOAD = """
import sys
from services.indicator.scipy_parts import ndtri, weak_components
assert "scipy" not in sys.modules
ndtri(0.5)
weak_components([0], [1], 2)
print(*sys.modules)
"""


def test_scipy_is_loaded_by_the_first_call_without_unused_parts_of_numpy() -> None:
    """A formula loads scipy when it calls it; numpy's f2py and tests stay unloaded, although scipy lists their names."""
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert {"scipy.special", "scipy.sparse.csgraph"} <= loaded
    assert not {"numpy.f2py", "numpy.testing"} & loaded


def test_threads_that_load_scipy_at_once_leave_numpy_as_it_was() -> None:
    """The names that numpy lists are the same again after threads have loaded parts of scipy at the same time."""
    listed = list(np.__all__)

    def load(_: int) -> None:
        for _ in range(5):
            with scipy_parts._only_what_is_loaded():
                time.sleep(0)  # another thread's turn

    with ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            assert len([*threads.map(load, range(4))]) == 4
            assert np.__all__ == listed


def test_edges_connect_nodes_in_either_direction() -> None:
    """Nodes are in one component if edges connect them, whichever way these point."""
    component = weak_components(np.array([0, 2]), np.array([1, 1]), 4)
    assert component[0] == component[1] == component[2] != component[3]


def test_rows_hold_their_values_in_their_columns() -> None:
    """Row i has the values from the i-th end up to the next one; columns without a value are 0."""
    rows = sparse_rows(np.ones(3), np.array([2, 0, 1]), np.array([0, 1, 1, 3]), 4)
    assert rows.toarray().tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
