"""The little that all components share."""

import sys

# httpx imports a command line of its own where rich is installed, which takes 4 MiB and 0.2 s in every process.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None is how an import is refused
