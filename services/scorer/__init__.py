"""Keeps windows of evidence, asks services.indicator, publishes."""
