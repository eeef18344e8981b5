"""The formulas of docs/method.md: slot verdicts, windows, the index with its bounds, and its explanation. Pure."""
