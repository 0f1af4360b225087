"""``{kubernetes: {namespace: …, secret: …, key: …}}``: a Secret of a Kubernetes cluster.

The documented HTTP API rather than the vendor's client, which is forty megabytes for one request. The cluster is that of the
person's kubeconfig, else the one whose pod this is.
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import quote

from outward.credentials.kept import Fetched
from outward.credentials.sources.cluster import find_cluster
from outward.credentials.sources.http import Answer, Service

if TYPE_CHECKING:
    from outward.core import SecretUnavailable
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The keys of the Secret."""
    settings = spec.settings
    cluster = await find_cluster(spec.name, settings, outside.environment)
    service = Service(spec.name, "Kubernetes", "kubernetes", outside.proxies, context=cluster.context)
    namespace, name = quote(settings["namespace"], safe=""), quote(settings["secret"], safe="")
    headers = {"accept": "application/json"}
    if cluster.token:
        headers["authorization"] = f"Bearer {cluster.token}"
    url = f"{cluster.server}/api/v1/namespaces/{namespace}/secrets/{name}"
    answer = await service.ask("GET", url, headers=headers)
    if answer.status != 200:
        raise _refused(service, answer, f"{namespace}/{name}")
    data = answer.at("data")
    if not isinstance(data, dict):
        raise service.failure(f"answered without data for {namespace}/{name}")
    try:
        return Fetched({key: b64decode(value, validate=True) for key, value in data.items()})
    except (binascii.Error, ValueError, TypeError):
        raise service.failure("answered with something that is not base64") from None


def _refused(service: Service, answer: Answer, name: str) -> SecretUnavailable:
    match answer.status:
        case 401:
            reason, hint = "does not take the log-in", "`kubectl auth whoami` with the same context tells."
        case 403:
            reason, hint = f"denies reading the secret {name}", "The verb get on this secret is needed, and no more."
        case 404:
            reason, hint = f"has no secret {name}", ""
        case status:
            reason, hint = f"answered with status {status}", ""
    return service.failure(reason, hint)
