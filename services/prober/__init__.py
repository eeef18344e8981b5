"""Probes its share of links and endpoints on schedule from one vantage."""
