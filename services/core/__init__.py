"""Code that all components share."""

import sys

# Where rich is installed, httpx imports its own command line, which takes 4 MiB and 0.2 s in every process.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None makes the import fail
