"""A program for shells and scripts that runs `peyvand` in forks, as tests.support.forked does for tests.

Its process starts a bare interpreter, which hands over its arguments, environment, umask, working folder and standard streams, and ends
with the exit code of the fork. It does not pass signals on.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import stat
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from tests.support.forked import ForkedProcess, run_as
from tests.support.waiting import until

__all__ = ["forked_peyvand"]

_LENGTH = 8
"""Characters that state the length of a request."""

_CLIENT = """#!{python} -IS
import json, os, socket, sys
umask = os.umask(0)
request = json.dumps([sys.argv[1:], dict(os.environ), umask, os.getcwd()]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"%{length}d" % len(request)], [0, 1, 2])
    server.sendall(request)
    code = server.recv(4)
sys.exit(int(code or b"1"))
"""


@cache
def forked_peyvand() -> Path:
    """Return the path of the program. The server that it asks ends with this process, and so do its commands."""
    folder = TemporaryDirectory()
    address = Path(folder.name, "socket")
    server = ForkedProcess(__name__, address, stdout=Path(folder.name, "log"))

    def end() -> None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        folder.cleanup()

    atexit.register(end)
    until(address.exists, "the server of commands listened")
    program = Path(folder.name, "peyvand")
    program.write_text(_CLIENT.format(python=sys.executable, address=str(address), length=_LENGTH), "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def _serve(address: Path) -> None:
    """Run commands until this process is ended, each in a child of a child, which waits for its exit code."""
    os.setpgrp()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen()
        Path(f"{address}.new").rename(address)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, _LENGTH, 3)
    with connection.makefile("rb") as request:
        arguments, environment, umask, folder = json.loads(request.read(int(length)))
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        connection.sendall(b"%d" % (os.waitstatus_to_exitcode(status) % 256))
        os._exit(0)
    connection.close()
    os.umask(umask)
    run_as("services.cli", arguments, environment, streams, folder)
    sys.exit()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
