"""The one place where exceptions become messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from curate import __version__
from curate.cli.terminal import printable
from curate.errors import CurateError, DataError, FindingsError, RemoteError, UsageError

INTERRUPTED = 130
BUG = 70


def prepare_streams() -> None:
    """No character and no closed stream may end a command: what a terminal cannot show is
    escaped, and what nobody reads goes nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def with_advice(error: CurateError, command: str = "curate") -> str:
    """The error's sentence, with what to do next at its end where it does not say so itself."""
    said = str(error).strip()
    if "; " in said or "`" in said:
        return said
    if isinstance(error, UsageError):
        advice = f"see `{command} --help`"
    elif isinstance(error, FindingsError):
        advice = "look into what it found, then run the command again"
    elif isinstance(error, RemoteError):
        advice = "run the command again, and `curate doctor` if it stays so"
    elif isinstance(error, DataError) and error.line is not None:
        advice = "mend that line and run the command again"
    elif isinstance(error, DataError) and error.message.startswith("there is no"):
        advice = "check its name and run the command again"
    else:
        advice = "mend that and run the command again"
    return f"{said.rstrip('.')}; {advice}"


def guarded(run: Callable[[], int | None], command: str = "curate") -> int:
    """Run a command; whatever goes wrong ends in one sentence on stderr and an exit code."""
    try:
        return run() or 0
    except CurateError as error:
        _say(with_advice(error, command))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted; run the command again to go on where it stopped")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`curate … | head`): not our failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _system(error)
    except Exception as error:
        return _bug(error)


def _system(error: OSError) -> int:
    place = f"{error.filename}: " if error.filename else ""
    known = {
        errno.ENOSPC: "the disk is full; free some space and run the command again",
        errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
        errno.EACCES: "permission denied; check the owner and mode of the file or folder",
        errno.EPERM: "permission denied; check the owner and mode of the file or folder",
        errno.EROFS: "the file system is read-only; name a place that can be written",
        errno.EMFILE: "too many open files; raise `ulimit -n` and run it again",
        errno.ENOENT: "there is no such file or folder; check its name",
        errno.ENOTDIR: "a part of this path is no folder; check the path",
        errno.EISDIR: "is a folder; name a file",
        errno.EEXIST: "exists already; name another",
        errno.ENAMETOOLONG: "the name is too long for this file system; choose a shorter one",
        errno.ELOOP: "the links of this path go in a circle; name the file itself",
    }
    message = known.get(error.errno or 0)
    if message is None:
        return _bug(error)
    _say(place + message)
    return 3


def _bug(error: Exception) -> int:
    log = _write_log(error)
    where = f"; details are in {log}" if log else ""
    _say(f"this is a bug in curate ({type(error).__name__}){where}; please report it")
    return BUG


def _write_log(error: Exception) -> Path | None:
    """Versions and places of the traceback; messages and values may hold secrets: left out."""
    lines = [f"curate {__version__}, Python {sys.version.split()[0]}, {sys.platform}"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}")
    lines.append(type(error).__qualname__)
    try:
        handle, name = tempfile.mkstemp(prefix="curate-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
    except OSError:
        return None
    return Path(name)


def _say(message: str) -> None:
    try:
        sys.stderr.write(f"curate: {printable(message.strip(), one_line=True)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
