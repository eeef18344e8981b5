"""TODO-FACE."""
