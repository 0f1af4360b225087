"""What a source needs is an extra, and who does not have it is told its name."""

from __future__ import annotations

import asyncio
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from outward.core import SecretUnavailable
from outward.credentials import CredentialStore
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
