"""The first breath of the embedded server's process, and what tells one process from another.

Run by path (``python boot.py LOCK_FD RECORD ARGUMENT…``) it leaves its parent's session, writes
its process id and start time into the lock file it was handed, and becomes the server.  The lock
belongs to the open file, which lives as long as the process: whatever is killed when, the lock
file tells whether the server runs and which process it is.  It uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def start_time(pid: int) -> str | None:
    """When this process began, in a form that differs for a later process of the same id.

    None where no such process runs.  Linux: ticks since boot from ``/proc/<pid>/stat`` (field
    22) with the boot's id, so that it is right after a reboot too; elsewhere what ps says.
    """
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else f"{boot}:{fields[19]}"
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        env={"LC_ALL": "C", "PATH": "/bin:/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


def main(lock: int, record: str, arguments: list[str]) -> None:
    os.setsid()
    os.umask(0o077)
    written = json.loads(record)
    written["pid"] = os.getpid()
    written["started"] = start_time(os.getpid())
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(written).encode(), 0)
    os.set_inheritable(lock, True)
    os.chdir(written["folder"])
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
