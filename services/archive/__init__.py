"""The archive: writes the evidence from the bus to a dataset, and seals its days (docs/archive.md)."""

import services.archive.arrow_memory  # noqa: F401  # before any import that loads pyarrow
