"""Peyvand's own code: libraries, the components side by side, and the command line on top."""
