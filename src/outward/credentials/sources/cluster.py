"""Which Kubernetes cluster, and who we are to it: from a kubeconfig, or from the pod that this runs in.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/,
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
"""

from __future__ import annotations

import binascii
import json
import ssl
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outward.core import SecretUnavailable
from outward.credentials.parts import json_object
from outward.credentials.sources.programs import output_of
from outward.credentials.sources.threads import in_thread
from outward.pki.chain import load_chain

if TYPE_CHECKING:
    from collections.abc import Mapping

POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its API server, the PEM text that alone is trusted for it (``None``: the system's roots), and our log-in."""

    server: str
    authority: bytes | None
    token: str = field(default="", repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """What TLS with it is made of. Raises :class:`OSError`."""
        text = None if self.authority is None else self.authority.decode("ascii", "replace")
        context = ssl.create_default_context(cadata=text)
        if self.certificate is not None and self.key is not None:
            load_chain(context, self.certificate, self.key)
        return context


async def find_cluster(name: str, settings: Mapping[str, Any], environment: Mapping[str, str]) -> Cluster:
    """The cluster for the secret ``name``. Raises :class:`SecretUnavailable`."""
    files = _kubeconfigs(settings, environment)
    if not files and environment.get("KUBERNETES_SERVICE_HOST"):
        return _in_pod(name, environment)
    if not files:
        raise SecretUnavailable(
            name, "there is no kubeconfig, and this is no pod", hint="Set KUBECONFIG where you start outward."
        )
    return await _Kubeconfig(name, await in_thread(lambda: [_load(name, file) for file in files])).cluster(
        settings.get("context"), environment
    )


def _kubeconfigs(settings: Mapping[str, Any], environment: Mapping[str, str]) -> list[Path]:
    """Those that are there, of ``KUBECONFIG``, else ``~/.kube/config``; one that the policy names has to be there."""
    if "kubeconfig" in settings:
        return [settings["kubeconfig"]]
    named = [Path(text) for text in environment.get("KUBECONFIG", "").split(":") if text]
    return [file for file in named or [Path(environment.get("HOME", "")) / ".kube/config"] if file.is_file()]


def _in_pod(name: str, environment: Mapping[str, str]) -> Cluster:
    host = environment["KUBERNETES_SERVICE_HOST"]
    place = f"[{host}]" if ":" in host else host
    try:
        token, authority = (POD / "token").read_text("ascii").strip(), (POD / "ca.crt").read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnavailable(name, f"the pod's service account cannot be read: {type(error).__name__}") from None
    return Cluster(f"https://{place}:{environment.get('KUBERNETES_SERVICE_PORT', '443')}", authority, token)


def _load(name: str, file: Path) -> dict[str, Any]:
    """A kubeconfig, with the paths in it made absolute: they are relative to it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe").load(file.read_text("utf-8"))
    except OSError as error:
        raise SecretUnavailable(name, f"cannot read {file}: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise SecretUnavailable(name, f"{file} is no kubeconfig")
    document["directory"] = file.absolute().parent
    return document


class _Kubeconfig:
    """Several files as one: the first that says something counts, as with kubectl."""

    def __init__(self, name: str, documents: list[dict[str, Any]]) -> None:
        self._name: Final = name
        self._documents: Final = documents

    async def cluster(self, context: str | None, environment: Mapping[str, str]) -> Cluster:
        """The cluster and the user of ``context``, or of the one that is current."""
        chosen = context or next((d["current-context"] for d in self._documents if d.get("current-context")), None)
        if not isinstance(chosen, str):
            raise self._failure("no context is current", "Name one: {kubernetes: {context: …, …}}.")
        names, _ = self._entry("contexts", "context", chosen)
        place, base = self._entry("clusters", "cluster", str(names.get("cluster")))
        server = place.get("server")
        if not isinstance(server, str):
            raise self._failure(f"the cluster of {chosen} has no server")
        for key in ("insecure-skip-tls-verify", "tls-server-name", "proxy-url"):
            if place.get(key):
                raise self._failure(f"the cluster of {chosen} says {key}, which is not honoured here")
        authority = self._content(place, "certificate-authority", base)
        user, user_base = self._entry("users", "user", str(names["user"])) if names.get("user") else ({}, base)
        token, certificate, key_text = await self._login(user, user_base, environment)
        return Cluster(server.rstrip("/"), authority, token, certificate, key_text)

    async def _login(
        self, user: dict[str, Any], base: Path, environment: Mapping[str, str]
    ) -> tuple[str, bytes | None, bytes | None]:
        """A token, or a certificate and its key; from the file, or from the program that it names."""
        certificate = self._content(user, "client-certificate", base)
        key = self._content(user, "client-key", base)
        token = user.get("token") or ""
        if "tokenFile" in user:
            token = self._read(base / str(user["tokenFile"])).decode("ascii", "replace").strip()
        if isinstance(user.get("exec"), dict):
            status = await self._run(user["exec"], base, environment)
            token = status.get("token") or ""
            pair = status.get("clientCertificateData"), status.get("clientKeyData")
            if all(isinstance(text, str) for text in pair):
                certificate, key = (str(text).encode() for text in pair)
        if not isinstance(token, str) or not (token or (certificate and key)):
            raise self._failure(
                "the user of the kubeconfig has no log-in that is understood: token, certificate or exec"
            )
        return token, certificate, key

    async def _run(self, how: dict[str, Any], base: Path, environment: Mapping[str, str]) -> dict[str, Any]:
        """What a credential plugin gives (``exec`` of a kubeconfig: clouds log in so)."""
        version, program = how.get("apiVersion"), how.get("command")
        if version not in EXEC_VERSIONS or not isinstance(program, str):
            raise self._failure("the kubeconfig's exec is of a version that is not understood")
        command = str(base / program) if "/" in program else program
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        variables = [one for one in self._list(how, "env") if isinstance(one, dict)]
        extra = {str(one.get("name")): str(one.get("value", "")) for one in variables}
        output = await output_of(
            self._name,
            (command, *map(str, self._list(how, "args"))),
            {**environment, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            hint="`kubectl auth whoami` runs the same program and tells what is wrong.",
        )
        status = (json_object(output) or {}).get("status")
        if not isinstance(status, dict):
            raise self._failure(f"{program} printed no credential")
        return status

    def _entry(self, table: str, kind: str, name: str) -> tuple[dict[str, Any], Path]:
        """The first entry of that name, and what paths in it are relative to."""
        for document in self._documents:
            for entry in self._list(document, table):
                if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(kind), dict):
                    return entry[kind], document["directory"]
        raise self._failure(f"the kubeconfig has no {kind} {name!r}")

    def _list(self, entry: dict[str, Any], key: str) -> list[Any]:
        found = entry.get(key) or []
        if not isinstance(found, list):
            raise self._failure(f"{key} of the kubeconfig is not a list")
        return found

    def _content(self, entry: dict[str, Any], key: str, base: Path) -> bytes | None:
        """PEM text: in the file itself (``KEY-data``, which counts first), or in one that it names."""
        if entry.get(f"{key}-data"):
            try:
                return b64decode(entry[f"{key}-data"], validate=True)
            except (binascii.Error, ValueError, TypeError):
                raise self._failure(f"{key}-data of the kubeconfig is not base64") from None
        return self._read(base / str(entry[key])) if entry.get(key) else None

    def _read(self, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise self._failure(f"cannot read {file}: {error.strerror}") from None

    def _failure(self, reason: str, hint: str = "") -> SecretUnavailable:
        return SecretUnavailable(self._name, reason, hint=hint)
