"""Keeps windows of evidence, computes the index with services.indicator, and publishes it."""
