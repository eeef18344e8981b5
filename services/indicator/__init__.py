"""The formulas of docs/method.md, pure: slot verdicts and windows, the index with its bounds, and why it is what it is."""
