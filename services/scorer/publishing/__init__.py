"""The index on the bus: blocks of bucket `indicator`, and the history in INDICATORS."""
