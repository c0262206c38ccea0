"""The embedded Label Studio of a workspace: start, stop, and the truth about it.

Everything lives in one folder: ``credentials.json`` (mode 0600), ``data/``, ``home/``,
``studio.log`` and two lock files.  ``server.lock`` is held by the server's own process for as
long as it lives (see :mod:`curate.labelstudio.boot`), so neither a crash nor a reboot nor a
process id used again can make us believe that it runs, or stop what is not ours.
``command.lock`` lets one ``up`` or ``down`` work at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from curate.errors import (
    ConfigurationError,
    DiskError,
    LockedError,
    RemoteError,
    UnreachableError,
    UsageError,
)
from curate.labelstudio import boot, ports
from curate.labelstudio.faults import clean
from curate.labelstudio.files import open_file, write_private

START_SECONDS = 180.0
"""A first start takes half a minute (migrations); a slow disk may take longer."""

_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.25
_PORT_ATTEMPTS = 3
_MAX_LOG_BYTES = 5 * 1024 * 1024
_MOVED = "Trying to start at"
_USER = "curator@example.org"
# what a child may know of our environment; LABEL_STUDIO_*, HOST, PORT, DEBUG, CI, USERNAME and
# PASSWORD would all change the server
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
# Label Studio's own variables for a PostgreSQL instead of its SQLite file; heeded only if asked
_ON_POSTGRESQL = "CURATE_STUDIO_ON_POSTGRESQL"
_DATABASE = ("DJANGO_DB", *(f"POSTGRE_{x}" for x in ("HOST", "PORT", "NAME", "USER", "PASSWORD")))


class State(StrEnum):
    UP = "up"
    STARTING = "starting"
    SILENT = "silent"
    """The process runs, but does not answer."""
    CRASHED = "crashed"
    """It was never told to stop: a crash, a kill, or a reboot."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Login:
    """How the first user logs in, and the token for the API.  Never print ``token``."""

    username: str
    password: str
    token: str
    instance: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the embedded server at this moment."""

    state: State
    url: str | None
    pid: int | None
    detail: str
    log: Path
    credentials: Path

    @property
    def is_up(self) -> bool:
        return self.state is State.UP


@dataclass(frozen=True, slots=True)
class Started:
    """The outcome of ``up``: ``fresh`` is False where it was up already.

    ``moved_from`` is the address before, where another program has taken its port since.
    """

    url: str
    pid: int
    fresh: bool
    seconds: float
    moved_from: str | None = None


class EmbeddedStudio:
    """The Label Studio whose home is ``folder`` (a workspace's ``.curate/studio``).

    ``python``: the interpreter that has Label Studio installed; this one by default.
    """

    def __init__(self, folder: Path, python: str = "") -> None:
        self.folder = folder.absolute()
        self.python = python or sys.executable
        self.credentials_path = self.folder / "credentials.json"
        self.log_path = self.folder / "studio.log"
        self._lock_path = self.folder / "server.lock"
        self._ready_path = self.folder / "ready"

    # -- the three verbs

    def up(
        self,
        *,
        port: int | None = None,
        timeout: float = START_SECONDS,
        on_wait: Callable[[float], None] | None = None,
    ) -> Started:
        """Start the server, or find it running; returns once it answers.

        ``on_wait`` is called about four times a second with the seconds waited.  Raises
        UsageError for a port that is taken, UnreachableError if it does not come up,
        LockedError if another command is at work for all of ``timeout``.
        """
        began = time.monotonic()
        deadline = began + timeout
        self._prepare()
        with self._commands(deadline, on_wait):
            running = self._running()
            if running is not None:
                pid, taken = int(running["pid"]), int(running["port"])
                if port is not None and port != taken:
                    raise UsageError(
                        f"the embedded Label Studio runs on port {taken}; stop it first with "
                        "`curate studio down`"
                    )
                self._wait(pid, taken, 0, began, deadline, on_wait)
                return Started(_url(taken), pid, False, time.monotonic() - began)
            _check_installed(self.python)
            self._login(create=True)
            if port is not None and not ports.is_free(port):
                raise UsageError(f"port {port} is taken; choose another, or leave --port out")
            before = self._last_port()
            offered = [port] if port is not None else ports.candidates(before)
            for attempt, chosen in enumerate(offered, 1):
                mark = self._rotate_log()
                pid = self._spawn(chosen)
                try:
                    self._wait(pid, chosen, mark, began, deadline, on_wait)
                except _PortLostError:
                    self._stop(pid)
                    if attempt >= _PORT_ATTEMPTS or port is not None:
                        break
                    continue
                except _StaleDataError:
                    self._stop(pid)
                    self._set_data_aside()
                    continue
                moved = None if before is None or before == chosen else _url(before)
                return Started(_url(chosen), pid, True, time.monotonic() - began, moved)
        raise UnreachableError(
            "the embedded Label Studio found no port to itself; try again, or choose one with "
            "--port"
        )

    def down(self, *, timeout: float = START_SECONDS) -> int | None:
        """Stop the server that this folder started, and no other; its process id, None if none ran.

        Raises UnreachableError if it will not end.
        """
        if not self.folder.is_dir():
            return None
        with self._commands(time.monotonic() + timeout, None):
            running = self._running()
            if running is None:
                self._note_stopped()
                return None
            pid = int(running["pid"])
            self._stop(pid)
            self._note_stopped()
            return pid

    def status(self) -> Status:
        """The truth, looked up now."""

        def say(
            state: State, detail: str, pid: int | None = None, port: int | None = None
        ) -> Status:
            url = None if port is None else _url(port)
            return Status(state, url, pid, detail, self.log_path, self.credentials_path)

        running = self._running()
        if running is None:
            record = self._record()
            if "pid" not in record:
                return say(State.DOWN, "not running; start it with `curate studio up`")
            detail = (
                "it ended without `curate studio down` (a crash, a kill or a reboot); start it "
                "again with `curate studio up`"
            )
            if not ports.is_free(int(record["port"])):
                detail += f"; another program now holds its port {record['port']}"
            return say(State.CRASHED, detail)
        pid, port = int(running["pid"]), int(running["port"])
        if ports.listens(pid, port) is not False and _healthy(port):
            return say(State.UP, "running", pid, port)
        if time.time() - float(running.get("at", 0.0)) < START_SECONDS:
            return say(State.STARTING, "starting; wait for it with `curate studio up`", pid, port)
        return say(
            State.SILENT,
            "the process runs but does not answer; `curate studio down`, then `up`, starts it anew",
            pid,
            port,
        )

    # -- what others need

    def login(self) -> Login:
        """The first user's name, password and token.

        Raises ConfigurationError where there are none yet or the file is not readable as such.
        """
        return self._login(create=False)

    def access(self) -> tuple[str, str] | None:
        """Address and token of the running server; None where it is not up."""
        status = self.status()
        return None if status.url is None or not status.is_up else (status.url, self.login().token)

    # -- below

    def _prepare(self) -> None:
        if os.name != "posix":
            raise ConfigurationError(
                "the embedded Label Studio needs Linux or macOS; start Label Studio yourself and "
                "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"
            )
        try:
            for folder in (self.folder, self.folder / "data", self.folder / "home"):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise DiskError(f"cannot be made: {error.strerror}", path=self.folder) from None

    @contextlib.contextmanager
    def _commands(self, deadline: float, on_wait: Callable[[float], None] | None) -> Iterator[None]:
        import fcntl

        began = time.monotonic()
        with open_file(self.folder / "command.lock") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    pass
                if time.monotonic() >= deadline:
                    raise LockedError(
                        "another `curate studio` command is at work here; wait for it to end",
                        path=self.folder,
                    )
                if on_wait is not None:
                    on_wait(time.monotonic() - began)
                time.sleep(_POLL_SECONDS)
            yield

    def _record(self) -> dict[str, Any]:
        try:
            value = json.loads(self._lock_path.read_bytes() or b"{}")
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def _held(self) -> bool:
        """Whether a server's process lives: the lock is let go of with its last thread."""
        import fcntl

        if not self._lock_path.exists():
            return False
        with open_file(self._lock_path) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        self._reap()
        return False

    def _running(self) -> dict[str, Any] | None:
        """The record of the server's process, if it lives: the lock is held, and by that one."""
        for _ in range(40):  # a process that was born this moment has yet to sign
            if not self._held():
                return None
            record = self._record()
            pid = record.get("pid")
            if isinstance(pid, int) and boot.start_time(pid) == record.get("started"):
                return record
            time.sleep(0.05)
        return None

    def _reap(self) -> None:
        pid = self._record().get("pid")
        if isinstance(pid, int):
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)

    def _last_port(self) -> int | None:
        port = self._record().get("port")
        return port if isinstance(port, int) else None

    def _note_stopped(self) -> None:
        """Keep the port for the next start, forget the process: a clean end."""
        port = self._last_port()
        if port is not None:
            self._lock_path.write_text(json.dumps({"port": port}), encoding="utf-8")

    def _spawn(self, port: int) -> int:
        import fcntl

        record = {"port": port, "at": time.time(), "folder": str(self.folder)}
        with open_file(self._lock_path) as lock, self._log_file() as log:
            for _ in range(40):  # somebody who asks for the status holds it for a moment
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.05)
            else:
                raise LockedError(
                    "another process holds the embedded Label Studio's lock", path=self._lock_path
                )
            os.truncate(lock, 0)
            os.set_inheritable(lock, True)
            arguments = [self.python, "-I", boot.__file__, str(lock), json.dumps(record)]
            arguments += ["-m", "label_studio.server", "start", "--no-browser"]
            arguments += ["--internal-host", ports.LOOPBACK, "--port", str(port)]
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ]
            try:
                return os.posix_spawn(
                    self.python, arguments, self._environment(), file_actions=actions
                )
            except OSError as error:
                raise DiskError(
                    f"the embedded Label Studio cannot be started: {error.strerror}"
                ) from None

    def _environment(self) -> dict[str, str]:
        login = self._login(create=False)
        names = (*_KEPT, *(_DATABASE if os.environ.get(_ON_POSTGRESQL) == "1" else ()))
        kept = {name: os.environ[name] for name in names if name in os.environ}
        kept.setdefault("LANG", "C.UTF-8")
        if "POSTGRE_HOST" in kept:
            kept.setdefault("DJANGO_DB", "default")
        return kept | {
            "HOME": str(self.folder / "home"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder / "data"),
            "LABEL_STUDIO_USERNAME": login.username,
            "LABEL_STUDIO_PASSWORD": login.password,
            "LABEL_STUDIO_USER_TOKEN": login.token,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
            "LABEL_STUDIO_ALLOWED_HOSTS": f"{ports.LOOPBACK},localhost",
            "COLLECT_ANALYTICS": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "LATEST_VERSION_CHECK": "false",
            # webhooks and the ML backend of this machine; right on a loopback server alone
            "SSRF_PROTECTION_ENABLED": "false",
            "ML_BLOCK_LOCAL_IP": "false",
            # answer 400 to a prediction that does not fit the configuration, not 201
            "fflag_feat_utc_210_prediction_validation_15082025": "true",
        }

    def _wait(
        self,
        pid: int,
        port: int,
        mark: int,
        began: float,
        deadline: float,
        on_wait: Callable[[float], None] | None,
    ) -> None:
        """Until the server of this process answers to our token; raises what went wrong."""
        while True:
            self._fail_if_ended(pid)
            if _MOVED in self._log_since(mark):
                raise _PortLostError
            if _healthy(port):
                owner = ports.listens(pid, port)
                if owner is False:
                    raise _PortLostError
                if self._accepts_token(port):
                    self._ready_path.touch(mode=0o600)
                    return
            if time.monotonic() >= deadline:
                raise UnreachableError(
                    f"the embedded Label Studio did not answer within {deadline - began:.0f} s; it "
                    f"may still be starting: see `curate studio status` and {self.log_path}"
                )
            if on_wait is not None:
                on_wait(time.monotonic() - began)
            time.sleep(_POLL_SECONDS)

    def _accepts_token(self, port: int) -> bool:
        from curate.errors import AuthenticationError
        from curate.labelstudio.client import LabelStudio

        with LabelStudio(_url(port), self.login().token, attempts=1) as client:
            try:
                client.whoami()
            except AuthenticationError:
                if not self._ready_path.exists():
                    raise _StaleDataError from None
                raise ConfigurationError(
                    f"the Label Studio in {self.folder / 'data'} does not know the token kept "
                    "here; restore this file, or move data away to begin anew",
                    path=self.credentials_path,
                ) from None
            except RemoteError:
                return False
        return True

    def _fail_if_ended(self, pid: int) -> None:
        with contextlib.suppress(ChildProcessError):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                raise UnreachableError(
                    f"the embedded Label Studio ended while starting (exit code {code}); "
                    f"its last words: {self._last_words()} (all of them are in {self.log_path})"
                )
        if boot.start_time(pid) is None:
            raise UnreachableError(
                f"the embedded Label Studio ended while starting; its last words: "
                f"{self._last_words()} (all of them are in {self.log_path})"
            )

    def _stop(self, pid: int) -> None:
        """End the process group of ``pid``, which was found to be ours."""
        for kind, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5.0)):
            running = self._running()
            if running is None or running["pid"] != pid:
                return
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, kind)
                else:
                    os.kill(pid, kind)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self._held():
                    return
                time.sleep(0.05)
        raise UnreachableError(f"the embedded Label Studio (process {pid}) does not end")

    def _set_data_aside(self) -> None:
        """A first start was killed in the middle: keep its data under another name, begin anew."""
        data = self.folder / "data"
        number = 1
        while (aside := self.folder / f"data.unfinished-{number}").exists():
            number += 1
        data.rename(aside)
        data.mkdir(mode=0o700)

    def _login(self, *, create: bool) -> Login:
        path = self.credentials_path
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            if not create:
                raise ConfigurationError(
                    "there is no embedded Label Studio here yet; start it with `curate studio up`",
                    path=path,
                ) from None
            if self._ready_path.exists():
                raise ConfigurationError(
                    f"is gone, and the Label Studio in {self.folder / 'data'} cannot be entered "
                    "without it; restore it, or move data and the file ready away to begin anew",
                    path=path,
                ) from None
            return self._make_login()
        except OSError as error:
            raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
        try:
            value = json.loads(raw)
            return Login(*(str(value[key]) for key in Login.__slots__))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ConfigurationError(
                "is not what `curate studio up` wrote; restore it, or move the folder away",
                path=path,
            ) from None

    def _make_login(self) -> Login:
        login = Login(
            username=_USER,
            password=secrets.token_urlsafe(18),
            token=secrets.token_hex(20),
            instance=secrets.token_hex(8),
        )
        record = {key: getattr(login, key) for key in Login.__slots__}
        write_private(self.credentials_path, json.dumps(record, indent=2).encode() + b"\n")
        return login

    @contextlib.contextmanager
    def _log_file(self) -> Iterator[int]:
        with open_file(self.log_path, os.O_APPEND) as log:
            yield log

    def _rotate_log(self) -> int:
        """The log's length now; a long one is put aside first."""
        try:
            size = self.log_path.stat().st_size
        except FileNotFoundError:
            return 0
        if size <= _MAX_LOG_BYTES:
            return size
        self.log_path.replace(self.log_path.with_suffix(".log.1"))
        return 0

    def _log_since(self, mark: int) -> str:
        try:
            with self.log_path.open("rb") as log:
                log.seek(mark)
                return log.read(256 * 1024).decode("utf-8", "replace")
        except OSError:
            return ""

    def _last_words(self) -> str:
        try:
            size = self.log_path.stat().st_size
        except OSError:
            return "none"
        lines = [line for line in self._log_since(max(0, size - 4096)).splitlines() if line.strip()]
        login = self.login()
        return clean(lines[-1], (login.token, login.password)) if lines else "none"


class _PortLostError(Exception):
    """Another program took the port between our look and the server's."""


class _StaleDataError(Exception):
    """The data stem from a first start that never ended; they hold nothing of anybody's."""


def _url(port: int) -> str:
    return f"http://{ports.LOOPBACK}:{port}"


def _healthy(port: int) -> bool:
    import httpx

    try:
        # no proxy: this is our own machine
        answer = httpx.get(f"{_url(port)}/health", timeout=5.0, trust_env=False)
        return answer.is_success and answer.json().get("status") == "UP"
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def _check_installed(python: str) -> None:
    if python == sys.executable:
        from importlib.util import find_spec

        found = find_spec("label_studio") is not None
    else:
        look = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('label_studio'))"
        try:
            found = not subprocess.run(
                [python, "-I", "-c", look], capture_output=True, check=False, timeout=60
            ).returncode
        except (OSError, subprocess.TimeoutExpired):
            raise ConfigurationError(
                "CURATE_STUDIO_PYTHON cannot be run; name the Python that has Label Studio",
                path=python,
            ) from None
    if not found:
        raise ConfigurationError(
            "Label Studio is not installed here; install it with `pip install 'curate[studio]'`, "
            "name a Python that has it in CURATE_STUDIO_PYTHON, or set LABEL_STUDIO_URL and "
            "LABEL_STUDIO_API_KEY to one that runs elsewhere"
        )
