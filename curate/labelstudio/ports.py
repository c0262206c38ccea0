"""Loopback ports: which are free, and who listens on one."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 20000, 29999  # below the range that systems take outgoing ports from
_LISTEN = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port, and nothing answers there."""
    for family, address in ((socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((address, port)) == 0:
                return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def candidates(preferred: int | None) -> Iterator[int]:
    """Free ports, the preferred one first; without end."""
    if preferred is not None and is_free(preferred):
        yield preferred
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if port != preferred and is_free(port):
            yield port


def listens(pid: int, port: int) -> bool | None:
    """Whether this very process listens on the loopback port; None where that cannot be seen."""
    inodes = _listening_inodes(port)
    if inodes is None:
        return None
    try:
        links = [entry.readlink().name for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return None if Path(f"/proc/{pid}").exists() else False
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


def _listening_inodes(port: int) -> set[str] | None:
    found: set[str] = set()
    try:
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found
