"""End worker processes whose parent was killed."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """End this process, which multiprocessing started, as soon as its parent has ended in any way.

    A worker of a pool otherwise goes on until its task ends, which may take hours.
    """
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
