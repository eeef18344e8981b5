"""Keeps windows of evidence, computes the index by services.indicator, publishes it."""
