"""The API server's documented HTTP API, served on loopback; kubeconfigs as kubectl writes them."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from outward.core import SecretUnavailable
from outward.credentials.sources.cluster import Cluster
from tests.support.keepers import ApiServer

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.integration.sources.conftest import World

SECRET = "key: {kubernetes: {namespace: dev, secret: github, key: token}}"


@pytest.fixture
def cluster(world: World, monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    keeper = ApiServer()
    world.keep(keeper, "cluster.test")
    monkeypatch.delenv("SSL_CERT_FILE")  # a cluster has an authority of its own
    return keeper


def kubeconfig(world: World, ca_file: Path, user: dict[str, Any], **place: Any) -> Path:
    authority = b64encode(ca_file.read_bytes()).decode()
    server = {"server": "https://cluster.test:6443", "certificate-authority-data": authority} | place
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {key: value for key, value in server.items() if value is not None}}],
        "users": [{"name": "u", "user": user}],
    }
    file = world.home / ".kube/config"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document))
    return file


def test_a_kubeconfig_with_a_token(world: World, cluster: ApiServer, ca_file: Path) -> None:
    kubeconfig(world, ca_file, {"token": "token-1"})
    assert world.get(SECRET) == "ghp_test-k8s\n"
    for broken, why in (
        (SECRET.replace("token", "tok"), "no field 'tok'"),
        (SECRET.replace("dev", "prod"), "no secret prod/github"),
        (SECRET.replace("dev", "dev, context: prod"), "no context 'prod'"),
        (SECRET.replace("dev", "dev, kubeconfig: /no/such/file"), "cannot read"),
    ):
        with pytest.raises(SecretUnavailable, match=why):
            world.get(broken)
    kubeconfig(world, ca_file, {"token": "token-2"})
    with pytest.raises(SecretUnavailable, match="does not take the log-in"):
        world.get(SECRET)


def test_only_the_clusters_own_authority_is_trusted(world: World, cluster: ApiServer, ca_file: Path) -> None:
    kubeconfig(world, ca_file, {"token": "token-1"}, **{"certificate-authority-data": None})
    with pytest.raises(SecretUnavailable, match="cannot be verified"):
        world.get(SECRET)
    kubeconfig(world, ca_file, {"token": "token-1"}, **{"certificate-authority-data": "bm90IFBFTQ=="})
    with pytest.raises(SecretUnavailable, match="cannot be verified"):
        world.get(SECRET)
    kubeconfig(world, ca_file, {"token": "token-1"}, **{"insecure-skip-tls-verify": True})
    with pytest.raises(SecretUnavailable, match="insecure-skip-tls-verify"):
        world.get(SECRET)
    kubeconfig(world, ca_file, {"token": "token-1"}, server="http://cluster.test:6443")
    with pytest.raises(SecretUnavailable, match="without TLS"):
        world.get(SECRET)
    assert not cluster.seen


def test_files_are_relative_to_the_kubeconfig_and_the_first_of_several_counts(
    world: World, cluster: ApiServer, ca_file: Path
) -> None:
    place = {"certificate-authority-data": None, "certificate-authority": "ca.crt"}
    file = kubeconfig(world, ca_file, {"tokenFile": "token"}, **place)
    with pytest.raises(SecretUnavailable, match="cannot read"):
        world.get(SECRET)
    file.with_name("ca.crt").write_bytes(ca_file.read_bytes())
    file.with_name("token").write_text("token-1\n")
    assert world.get(SECRET) == "ghp_test-k8s\n"
    other = world.home / "other"
    other.write_text("current-context: elsewhere\n")
    world.environment["KUBECONFIG"] = f"{file}:{other}:/no/such/file"
    assert world.get(SECRET) == "ghp_test-k8s\n"
    world.environment["KUBECONFIG"] = f"{other}:{file}"
    with pytest.raises(SecretUnavailable, match="no context 'elsewhere'"):
        world.get(SECRET)


def test_a_credential_plugin(world: World, cluster: ApiServer, ca_file: Path) -> None:
    """As clouds log in: a program of the test's own that prints the documented ExecCredential."""
    version = "client.authentication.k8s.io/v1"
    plugin = {"apiVersion": version, "command": "plugin", "args": ["get"], "env": [{"name": "EXTRA", "value": "x"}]}
    kubeconfig(world, ca_file, {"exec": plugin})
    with pytest.raises(SecretUnavailable, match="cannot run plugin"):
        world.get(SECRET)
    credential = json.dumps({"kind": "ExecCredential", "apiVersion": version, "status": {"token": "token-1"}})
    world.program("plugin", f"""[ "$1$EXTRA" = getx ] && [ -n "$KUBERNETES_EXEC_INFO" ] && echo '{credential}'""")
    assert world.get(SECRET) == "ghp_test-k8s\n"
    for script in ("exit 1", "echo '{}'", "echo token-1", 'echo \'{"status": {"token": 5}}\''):
        world.program("plugin", script)
        with pytest.raises(SecretUnavailable):
            world.get(SECRET)
    kubeconfig(world, ca_file, {"exec": plugin | {"apiVersion": "v9"}})
    with pytest.raises(SecretUnavailable, match="not understood"):
        world.get(SECRET)
    for broken in ({"args": 5}, {"args": "get"}, {"env": {"EXTRA": "x"}}, {"env": 1}):
        kubeconfig(world, ca_file, {"exec": plugin | broken})
        with pytest.raises(SecretUnavailable, match="is not a list"):
            world.get(SECRET)


@pytest.mark.parametrize("user", [{}, {"username": "u", "password": "p"}, {"token": 5}, {"token": ""}])
def test_nobody_asks_without_a_log_in(world: World, cluster: ApiServer, ca_file: Path, user: dict[str, Any]) -> None:
    kubeconfig(world, ca_file, user)
    with pytest.raises(SecretUnavailable, match="no log-in"):
        world.get(SECRET)
    assert not cluster.seen


@pytest.mark.parametrize(
    "text", ["", "a: [", "- a", "\x00", "contexts: []", "current-context: 5", "current-context: a\ncontexts: 5"]
)
def test_what_is_no_kubeconfig(world: World, cluster: ApiServer, ca_file: Path, text: str) -> None:
    file = kubeconfig(world, ca_file, {"token": "token-1"})
    file.write_text(text)
    with pytest.raises(SecretUnavailable):
        world.get(SECRET)


def test_a_certificate_of_our_own(server_ca: trustme.CA) -> None:
    """It is part of what TLS is made of, without a file that has a name."""
    pair = server_ca.issue_cert("user.test")
    key, certificate = pair.private_key_pem.bytes(), b"".join(part.bytes() for part in pair.cert_chain_pems)
    authority = server_ca.cert_pem.bytes()
    assert isinstance(Cluster("https://c", authority, "", certificate, key).context(), ssl.SSLContext)
    with pytest.raises(ssl.SSLError):
        Cluster("https://c", authority, "", certificate, b"no key").context()


def test_in_a_pod(world: World, cluster: ApiServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SecretUnavailable, match="no kubeconfig, and this is no pod"):
        world.get(SECRET)
    pod = world.home / "pod"
    monkeypatch.setattr("outward.credentials.sources.cluster.POD", pod)
    world.environment |= {"KUBERNETES_SERVICE_HOST": "cluster.test", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(SecretUnavailable, match="service account cannot be read"):
        world.get(SECRET)
    pod.mkdir()
    (pod / "token").write_text("token-1")
    (pod / "ca.crt").write_bytes(ca_file.read_bytes())
    assert world.get(SECRET) == "ghp_test-k8s\n"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ((403, {}), "denies"),
        ((500, b"Z2hw"), "status 500"),
        ((200, b"Z2hw"), "not JSON"),
        ((200, {"data": None}), "without data"),
        ((200, {"data": {"token": "no base64!"}}), "not base64"),
        ((200, {"data": {"token": 5}}), "not base64"),
        ((200, {"data": {"token": ""}}), "empty"),
    ],
)
def test_what_is_no_answer_is_no_secret(
    world: World, cluster: ApiServer, ca_file: Path, broken: tuple[int, object], why: str
) -> None:
    kubeconfig(world, ca_file, {"token": "token-1"})
    cluster.broken = broken
    with pytest.raises(SecretUnavailable, match=why) as caught:
        world.get(SECRET)
    assert "Z2hw" not in str(caught.value)
