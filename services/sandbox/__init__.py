"""Simulates a government with injected faults whose true verdicts are known."""
