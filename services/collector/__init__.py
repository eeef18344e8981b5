"""Turns exchange logs into per-link slot summaries."""
