"""A simulated government with injected faults whose true verdicts are known."""
