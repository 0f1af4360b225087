"""Which variable, or file, makes which client use the gateway and trust its certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUNDLE: Final = (
    # Variables that name a file which *replaces* the client's roots: system roots and ours. One line a variable: who
    # reads it. Only what a client was seen to read, or documents, may live here.
    "SSL_CERT_FILE",  # OpenSSL's own: Python's ssl, httpx, curl, Go, cargo, Ruby, PHP, Codex; Claude Code as well
    "CURL_CA_BUNDLE",  # curl built with another TLS library; requests
    "REQUESTS_CA_BUNDLE",  # requests ships its own roots and ignores SSL_CERT_FILE
    "PIP_CERT",  # pip, likewise
    "GIT_SSL_CAINFO",  # git with GnuTLS (Debian) ignores SSL_CERT_FILE and CURL_CA_BUNDLE
    "CARGO_HTTP_CAINFO",  # cargo, over what its configuration may say
    "npm_config_cafile",  # an npmrc with `cafile` would silently override NODE_EXTRA_CA_CERTS
    "AWS_CA_BUNDLE",  # AWS's command line and SDKs ship their own roots
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  # gcloud, likewise
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC's C core (Python, C++, Ruby) ships its own roots
    "NIX_SSL_CERT_FILE",  # programs from Nix, whose OpenSSL looks here first
    "CODEX_CA_CERTIFICATE",  # Codex prefers this over SSL_CERT_FILE, so it must not be left to the caller
)
_AUTHORITY: Final = (
    # Variables that name a file which is *added* to the client's roots: ours alone, since Node parses it at every start.
    "NODE_EXTRA_CA_CERTS",  # Node and what is built on it or on Bun: Claude Code, Gemini CLI, npm
    "DENO_CERT",  # Deno
)
_PROXY: Final = (
    # Both spellings: curl and wget read only the lower-case http_proxy, others only the upper-case names.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",  # for schemes without a variable of their own, which are then refused by the gateway and not lost
)


def trust_variables(bundle: str, ca: str) -> dict[str, str]:
    """Variables for clients that take their roots from a file: ``bundle`` with all of them, ``ca`` with ours alone."""
    return dict.fromkeys(_BUNDLE, bundle) | dict.fromkeys(_AUTHORITY, ca)


def proxy_variables(url: str, *, no_proxy: Sequence[str] = ("localhost", "127.0.0.1", "::1")) -> dict[str, str]:
    """Variables for clients that go through the proxy at ``url``, except to the hosts in ``no_proxy``."""
    values = dict.fromkeys(_PROXY, url) | {"NO_PROXY": ",".join(no_proxy)}
    return {
        **values,
        **{name.lower(): value for name, value in values.items()},
        "NODE_USE_ENV_PROXY": "1",  # Node 24's fetch and https read the variables above only with this one
    }


_FILES: Final = {
    # Clients that take their roots from a configuration file only: its variable, its name, what it says.
    "WGETRC": ("wgetrc", "ca_certificate = {bundle}\n"),  # wget with GnuTLS (Debian) ignores SSL_CERT_FILE
    "APT_CONFIG": ("apt.conf", 'Acquire::https::CaInfo "{bundle}";\n'),  # read besides /etc/apt, not instead
}


def trust_files(bundle: str) -> dict[str, str]:
    """File names and contents for clients that only a configuration file makes trust ``bundle``."""
    return {name: text.format(bundle=bundle) for name, text in _FILES.values()}


def trust_file_variables(directory: str) -> dict[str, str]:
    """Variables that point at the :func:`trust_files` in ``directory``."""
    return {variable: f"{directory}/{name}" for variable, (name, _) in _FILES.items()}
