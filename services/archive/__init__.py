"""The archive: takes the evidence from the bus into a dataset, and seals its days (docs/archive.md)."""
