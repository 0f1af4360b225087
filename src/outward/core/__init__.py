"""The words that every room uses, and nothing that does I/O."""

from outward.core.canonical import (
    DEFAULT_PORT,
    CanonicalPath,
    authority,
    canonical_authority,
    canonical_host,
    canonical_path,
    canonical_query,
    fold_path,
    path_readings,
)
from outward.core.errors import (
    ClientError,
    HostError,
    HostMismatch,
    JournalUnavailable,
    OutwardError,
    PolicyError,
    Problem,
    SecretUnavailable,
    UpstreamError,
)
from outward.core.event import Event
from outward.core.limits import Limits, Shortfall
from outward.core.proxy import NO_CALLER_PROXIES, CallerProxies, Proxy
from outward.core.refusal import Refusal
from outward.core.request import Request
from outward.core.rule import Action, Destination, Injection, Rule
from outward.core.secret import Secret
from outward.core.verdict import STATUS_OF_CODE, UPSTREAM_TROUBLE, Code, Verdict

__all__ = [
    "DEFAULT_PORT",
    "NO_CALLER_PROXIES",
    "STATUS_OF_CODE",
    "UPSTREAM_TROUBLE",
    "Action",
    "CallerProxies",
    "CanonicalPath",
    "ClientError",
    "Code",
    "Destination",
    "Event",
    "HostError",
    "HostMismatch",
    "Injection",
    "JournalUnavailable",
    "Limits",
    "OutwardError",
    "PolicyError",
    "Problem",
    "Proxy",
    "Refusal",
    "Request",
    "Rule",
    "Secret",
    "SecretUnavailable",
    "Shortfall",
    "UpstreamError",
    "Verdict",
    "authority",
    "canonical_authority",
    "canonical_host",
    "canonical_path",
    "canonical_query",
    "fold_path",
    "path_readings",
]
