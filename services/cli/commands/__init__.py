"""Names, options and help of every command; what a command runs is imported when it runs."""

from services.cli.commands.root import COMPONENTS, app

__all__ = ["COMPONENTS", "app"]
