"""The archive: writes the evidence from the bus to a dataset, and seals its days (docs/archive.md)."""
