"""Log files: found by a pattern, kept open across rotation, tailed or replayed."""

from services.collector.files.log_file import LogFile, path_text
from services.collector.files.replayer import Replayer
from services.collector.files.tailer import FileTailer

__all__ = ["FileTailer", "LogFile", "Replayer", "path_text"]
