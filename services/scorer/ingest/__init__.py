"""The streams MEASUREMENTS and EXCHANGES, read in order from a durable position."""
