"""A real object store that speaks S3: OpenStack Swift on this host, with its files in one folder."""

from __future__ import annotations

import configparser
import getpass
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from tests.support.nats import WITH_US
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.waiting import until

__all__ = ["ObjectStore", "running_object_store"]

_KEPT: Final = ("account", "container", "object")
_FRONT: Final = "proxy"
_PIPELINE: Final = ("catch_errors", "gatekeeper", "healthcheck", "cache", "s3api", "tempauth", "copy", "slo")
_RINGS: Final = f"""
import sys
from swift.common.ring import RingBuilder
for name, port in zip({_KEPT}, map(int, sys.argv[1:])):
    builder = RingBuilder(1, 1, 0)
    device = {{"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1.0, "meta": ""}}
    builder.add_dev(device | {{"replication_ip": "127.0.0.1", "replication_port": port}})
    builder.rebalance()
    builder.get_ring().save(f"{{name}}.ring.gz")
"""
"""Makes the rings in one interpreter of Swift's, where swift-ring-builder would start nine."""

_USER, _SECRET = "test:tester", "testing"


class ObjectStore:
    """Four Swift servers, each a process. The front speaks S3, and can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in (*_KEPT, _FRONT)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of a client of S3."""
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self._ports[_FRONT]}",
            "AWS_ACCESS_KEY_ID": _USER,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def configure(self) -> None:
        """Write the configuration of each server, and the rings, which keep one copy on this host."""
        (self._folder / "devices" / "disk").mkdir(parents=True)
        with Path(program("swift-ring-builder", "swift-proxy")).open(encoding="utf-8") as script:
            python = script.readline().removeprefix("#!").strip()
        ports = [str(self._ports[name]) for name in _KEPT]
        subprocess.run([python, "-c", _RINGS, *ports], check=True, cwd=self._folder, capture_output=True)
        for name in _KEPT:
            self._write(name, (f"{name}-server",), {f"app:{name}-server": {"use": f"egg:swift#{name}"}})
        filters = {f"filter:{name}": {"use": f"egg:swift#{name}"} for name in _PIPELINE}
        filters["filter:cache"] |= {"use": "egg:swift#memcache", "memcache_servers": "127.0.0.1:1"}  # works without one
        filters["filter:tempauth"][f"user_{_USER.replace(':', '_')}"] = f"{_SECRET} .admin"
        front = {"app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"}}
        self._write(_FRONT, (*_PIPELINE, "proxy-server"), front | filters)

    def start(self) -> None:
        """Start the servers that do not run, and wait for the front. The kernel kills them when this process ends."""
        for name in self._ports.keys() - self._processes.keys():
            command = [*WITH_US, program(f"swift-{name}-server", f"swift-{name}"), f"{name}.conf", "--verbose"]
            with (self._folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        until(self._answers, f"the object store answered, see {self._folder}/*.log")

    def kill_front(self) -> None:
        """Kill the server that speaks S3. Acknowledged objects are kept."""
        self._kill(_FRONT)

    def kill(self) -> None:
        """Kill all servers."""
        for name in list(self._processes):
            self._kill(name)

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.environment['AWS_ENDPOINT_URL_S3']}/healthcheck", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _write(self, name: str, pipeline: tuple[str, ...], sections: Mapping[str, Mapping[str, str]]) -> None:
        file = configparser.RawConfigParser()
        file.read_dict(
            {
                "DEFAULT": {
                    "swift_dir": str(self._folder),
                    "devices": str(self._folder / "devices"),
                    "mount_check": "false",
                    "bind_ip": "127.0.0.1",
                    "bind_port": str(self._ports[name]),
                    "workers": "0",
                    "user": getpass.getuser(),
                },
                "pipeline:main": {"pipeline": " ".join(pipeline)},
                **sections,
            }
        )
        with (self._folder / f"{name}.conf").open("w") as out:
            file.write(out)


@contextmanager
def running_object_store(folder: Path) -> Iterator[ObjectStore]:
    """Run a store with its files in a new folder. Skips the test where Swift is not installed."""
    folder.mkdir(parents=True)
    store = ObjectStore(folder)
    store.configure()
    try:
        store.start()
        yield store
    finally:
        store.kill()
