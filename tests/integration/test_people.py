"""An invited person really logs in."""

from __future__ import annotations

import uuid

import pytest

from curate.errors import AuthenticationError, RejectedError, UnreachableError, UsageError
from curate.labelstudio import people
from curate.labelstudio.client import LabelStudio

pytestmark = pytest.mark.studio


def fresh_email() -> str:
    return f"Nadia.{uuid.uuid4().hex[:8]}@Example.org"


def test_an_invited_person_can_log_in_and_only_with_their_password(
    label_studio: LabelStudio,
) -> None:
    """By the log-in form, as they will."""
    email, password = fresh_email(), people.new_password()
    invited = people.invite(label_studio, email, password)
    assert invited.created
    assert invited.user.email == email.lower()
    assert people.can_log_in(label_studio.url, email, password)
    assert not people.can_log_in(label_studio.url, email, password + "x")


def test_inviting_twice_changes_nothing_and_says_so(label_studio: LabelStudio) -> None:
    """The first password stays."""
    email, password = fresh_email(), people.new_password()
    first = people.invite(label_studio, email, password)
    second = people.invite(label_studio, email.upper(), people.new_password())
    assert (second.user.id, second.created) == (first.user.id, False)
    assert people.can_log_in(label_studio.url, email, password)
    same = [user for user in label_studio.users() if user.email == email.lower()]
    assert len(same) == 1


def test_an_invited_person_sees_the_same_projects(
    label_studio: LabelStudio, project: dict[str, object]
) -> None:
    """They are in the organisation; their own token works."""
    email, password = fresh_email(), people.new_password()
    people.invite(label_studio, email, password)
    token = people.token_of(label_studio.url, email, password)
    with LabelStudio(label_studio.url, token) as theirs:
        assert theirs.whoami().email == email.lower()
        assert project["id"] in [found["id"] for found in theirs.projects()]


def test_sign_up_without_an_invitation_is_closed(label_studio: LabelStudio) -> None:
    """Nobody who finds the port makes themselves an account."""
    with pytest.raises(AuthenticationError, match="403"):
        people._sign_up(label_studio.url, "", fresh_email(), people.new_password())
    with pytest.raises(AuthenticationError, match="403"):
        people._sign_up(label_studio.url, "guessed", fresh_email(), people.new_password())


def test_what_the_form_refuses_is_told_in_its_words(label_studio: LabelStudio) -> None:
    """Without the password."""
    token = label_studio.get("/api/invite")["token"]
    with pytest.raises(RejectedError, match="8") as caught:
        people._sign_up(label_studio.url, token, fresh_email(), "hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_stranger_has_no_token(label_studio: LabelStudio) -> None:
    """And is told so."""
    with pytest.raises(RejectedError, match="cannot log in"):
        people.token_of(label_studio.url, fresh_email(), people.new_password())


@pytest.mark.parametrize(
    "email", ["", "nadia", "a@b", "a b@c.org", "a@b.org\nBcc: x@y.org", "@b.org"]
)
def test_a_bad_address_is_refused_before_anything_is_sent(email: str) -> None:
    """No server is needed to see it."""
    with pytest.raises(UsageError, match="e-mail"):
        people.check_email(email)


@pytest.mark.parametrize("password", ["", "short", "x" * 129, " outer-space", "line\nbreak1"])
def test_a_bad_password_is_refused_and_not_repeated(password: str) -> None:
    """By rules Label Studio has, or that would surprise a person."""
    with pytest.raises(UsageError) as caught:
        people.check_password(password)
    assert not password or password not in str(caught.value)


def test_new_passwords_differ_and_are_taken() -> None:
    """Generated ones need no look."""
    passwords = {people.new_password() for _ in range(50)}
    assert len(passwords) == 50
    for password in passwords:
        people.check_password(password)


def test_a_server_that_is_down_is_unreachable() -> None:
    """One sentence, exit code 4."""
    with pytest.raises(UnreachableError):
        people.can_log_in("http://127.0.0.1:9", "a@b.org", "whatever-it-is")
