"""Serves the console: the pages of Peyvand for everybody, in Persian and English."""
