"""Let a process run out of file descriptors."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["no_descriptor_left"]

# Standard input, output and error stay open, so no number below this one is ever free.
_FIRST: Final = 3


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open no descriptor until the context ends.

    The limit is on the number of a descriptor, not on how many are open. So a descriptor that another thread closes
    meanwhile cannot be reused.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FIRST, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
