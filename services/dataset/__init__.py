"""The dataset: evidence as sealed files that never change, and a signed log that proves it (docs/archive.md)."""
