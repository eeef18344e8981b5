"""Peyvand's own code: ground-floor libraries, the components side by side, and the command line on top."""
