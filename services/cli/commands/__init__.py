"""Declares every command: its name, options and help. The code it runs is imported when it runs, so --help is quick."""
