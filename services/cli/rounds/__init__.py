"""Rounds: frozen out of a dataset, verified from their folder alone, compared (docs/rounds.md)."""
