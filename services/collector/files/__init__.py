"""Reads log files: finds them by a pattern, keeps them open across rotation, and tails or replays them."""

from services.collector.files.log_file import TAKE_LINES, LogFile, path_text
from services.collector.files.replayer import Replayer
from services.collector.files.tailer import FileTailer

__all__ = ["TAKE_LINES", "FileTailer", "LogFile", "Replayer", "path_text"]
