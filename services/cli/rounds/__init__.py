"""Freezes rounds from a dataset, verifies them from their folder alone, and compares them (docs/rounds.md)."""
