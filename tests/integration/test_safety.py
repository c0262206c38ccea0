"""What can be seen from outside of whether a Label Studio is safe."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from curate.labelstudio import safety
from curate.labelstudio.client import LabelStudio
from tests.integration.conftest import Studio


def test_the_embedded_server_passes_every_check_and_makes_no_user(
    studio: Studio, label_studio: LabelStudio
) -> None:
    """Looking at the sign-up leaves no account behind."""
    before = [user.id for user in label_studio.users()]
    findings = safety.examine(label_studio, embedded=True)
    assert [f.name for f in findings] == [
        "address",
        "version",
        "sign-up",
        "tokens",
        "request forgery",
    ]
    assert [f for f in findings if not f.ok] == []
    assert [user.id for user in label_studio.users()] == before


class Answers:
    """A client of a server elsewhere, whose answers we choose."""

    url = "http://newsroom.example"

    def __init__(self, legacy: bool, version: str) -> None:
        self._legacy, self._version = legacy, version

    def version(self) -> str:
        return self._version

    def get(self, path: str) -> Any:
        assert path == "/api/jwt/settings"
        return {"legacy_api_tokens_enabled": self._legacy}


def test_an_open_door_is_named_with_its_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http, an untried version, open sign-up and eternal tokens: four findings."""

    def open_door(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<form>")

    class Visitor(httpx.Client):
        def __init__(self, **_options: Any) -> None:
            super().__init__(transport=httpx.MockTransport(open_door))

    monkeypatch.setattr(httpx, "Client", Visitor)
    client: Any = Answers(legacy=True, version="0.9.1")
    findings = {f.name: f for f in safety.examine(client, embedded=False)}
    wrong = {name for name, found in findings.items() if not found.ok}
    assert wrong == {"address", "version", "sign-up", "tokens"}
    assert all(findings[name].mend for name in wrong)
