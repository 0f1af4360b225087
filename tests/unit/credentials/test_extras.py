"""What a source or a form needs is an extra, and who does not have it is told its name."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from outward.core import Injection, Secret, SecretUnavailable
from outward.credentials import CredentialStore
from outward.credentials.forms.oauth1 import OAuth1
from outward.credentials.forms.signing import Unsigned
from outward.policy import SecretSpec

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
ENVIRONMENT = {"VAULT_TOKEN": "hvs.test", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
SOURCES: dict[str, tuple[dict[str, Any], str]] = {
    # What is asked for, and the module that is not there.
    "vault": ({"path": "secret/data/x"}, "httpx"),
    "aws": ({"secret": "x"}, "botocore"),
    "gcp": ({"project": "p", "secret": "x"}, "google.auth"),
    "azure": ({"vault": "acme", "secret": "x"}, "httpx"),
    "kubernetes": ({"namespace": "n", "secret": "x", "kubeconfig": None}, "httpx"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_missing_extra_is_named(source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings, module = SOURCES[source]
    if "kubeconfig" in settings:
        file = tmp_path / "kubeconfig"
        file.write_text(
            "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
            " clusters: [{name: c, cluster: {server: 'https://c.test'}}], users: [{name: u, user: {token: t}}]}"
        )
        settings = {**settings, "kubeconfig": file}
    monkeypatch.setitem(sys.modules, module, None)
    spec = SecretSpec("key", source, tuple(sorted(settings.items())))
    store = CredentialStore({"key": spec}, environment=ENVIRONMENT)
    with pytest.raises(SecretUnavailable) as caught:
        asyncio.run(store.get("key"))
    assert caught.value.hint == f"pip install 'outward[{source}]'"
    distribution = module.replace(".", "-")
    assert any(re.match(rf"{distribution}\b", need) for need in PROJECT["optional-dependencies"][source])


FORMS = {
    # What the form is told, and the library that signs.
    "sigv4": (("access_key", "key"), ("secret_key", "key")),
    "oauth1": (("consumer_key", "key"), ("consumer_secret", "key")),
}
SIGNS = """
import sys
import outward.gateway.gateway
from outward.core import Destination, Injection
from outward.credentials import CredentialStore
from outward.credentials.injector import Injector
from outward.policy import SecretSpec

def loaded(form, settings):
    store = CredentialStore({"key": SecretSpec("key", "env", "KEY")}, environment={})
    Injector(Destination("d", "a.b", 443, "https", (), (Injection(form, ("key",), settings=settings),)), store)
    return [name for name in ("botocore", "oauthlib") if name in sys.modules]
"""


def test_what_signs_is_loaded_only_where_a_policy_signs() -> None:
    for form, found in (("basic", []), ("sigv4", ["botocore"]), ("oauth1", ["oauthlib"])):
        script = f"{SIGNS}\nprint(loaded({form!r}, {FORMS.get(form, ())!r}))"
        assert subprocess.check_output([sys.executable, "-c", script], text=True) == f"{found}\n"


def test_the_extra_of_oauth_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oauthlib", None)
    form = OAuth1(Injection("oauth1", ("key",), settings=FORMS["oauth1"]))
    request = Unsigned("GET", "https", "a.b", "/", "", (), empty=True)
    with pytest.raises(SecretUnavailable, match="oauthlib") as caught:
        form.read(request).sign(request, {"key": Secret("key", b"x")})
    assert caught.value.hint == "pip install 'outward[oauth1]'"
    assert any(need.startswith("oauthlib") for need in PROJECT["optional-dependencies"]["oauth1"])
