"""What data buses carried: volumes in SQLite, replaced by revision, and compared with probes."""
