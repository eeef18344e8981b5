"""Reads, checks, compares and publishes the register, and imports catalogues into it."""
