"""The evidence on disk: files that survive a crash at any moment."""
