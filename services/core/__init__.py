"""The little that all components share."""
