"""`curate annotators list · invite · rename`: people, and the pseudonyms they go by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import DataError, DiskError

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio
    from curate.store import Annotator, Store


@dataclass(frozen=True, slots=True)
class Invitation:
    """The outcome of an invitation; ``password_file`` where a password was made up."""

    email: str
    user_id: int
    pseudonym: str
    created: bool
    password_file: Path | None


def read_password(path: Path) -> str:
    """The first line of a file.  Raises DataError where it cannot be read; it is never shown."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise DataError("is not UTF-8", path=path) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    return text.splitlines()[0] if text else ""


def invite(
    client: LabelStudio,
    store: Store,
    email: str,
    *,
    password: str | None,
    keep: Path,
) -> Invitation:
    """Make a person who can log in, and give them a pseudonym; somebody known stays as they are.

    Without ``password`` one is made up and kept in a file of the folder ``keep`` that only the
    user may read; it is written before Label Studio hears of it, so that no interruption can
    lose it, and used again when the command is repeated.
    """
    from curate.labelstudio import people

    email = people.check_email(email)
    kept: Path | None = None
    if password is None and people.find_user(client, email) is None:
        kept = keep / f"{email.replace('/', '_')}.password"
        password = _kept_password(kept)
    invited = people.invite(client, email, password or people.new_password())
    with store.write() as unit:
        pseudonym = unit.annotators.pseudonym_of(client.url, invited.user.id, email)
        unit.commit()
    return Invitation(
        email, invited.user.id, pseudonym, invited.created, kept if invited.created else None
    )


def _kept_password(path: Path) -> str:
    from curate.labelstudio.files import write_private
    from curate.labelstudio.people import new_password

    if path.exists():
        return read_password(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"cannot be made: {error.strerror}", path=path.parent) from None
    password = new_password()
    write_private(path, f"{password}\n".encode())
    return password


def annotators(store: Store) -> list[Annotator]:
    """Everybody with a pseudonym."""
    with store.read() as unit:
        return unit.annotators.all()


def rename(store: Store, old: str, new: str) -> None:
    """Give an annotator another pseudonym."""
    with store.write() as unit:
        unit.annotators.rename(old, new)
        unit.commit()
