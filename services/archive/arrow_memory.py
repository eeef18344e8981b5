"""Lets Arrow allocate from the system, before any other module loads it (ADR 120).

``pyarrow.set_memory_pool`` would reach what Python asks Arrow for, but not what its readers and writers of Parquet use.
"""

import os

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
