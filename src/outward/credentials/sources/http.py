"""One request of a source to the service that keeps its secrets.

It goes straight from this process, not through what it guards: TLS is always verified, the caller's proxies are honoured,
redirects are not followed (whoever is told where to log in is told by the person, not by an answer), and no answer's text is
repeated in an error, for it may hold what was asked for.

httpx, because it can be cancelled and timed out as a whole, and takes its proxy and its trust from us alone. It is imported
in a thread when it is first needed: it takes a tenth of a second.
"""

from __future__ import annotations

import json as json_
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outward.core import ClientError, SecretUnavailable, canonical_host
from outward.core.canonical import is_address
from outward.core.proxy import bypassed
from outward.core.records import NamedTuple
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import httpx

    from outward.core import CallerProxies, Proxy

TIME_LIMIT: Final = 20.0
"""Seconds for a whole exchange, name look-up and TLS included."""
MAX_ANSWER: Final = 1 << 20
"""Octets of an answer; no service keeps secrets as large."""

_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
"""What a header can carry. The rest is refused before httpx sees it, which repeats it in its error: it may be a token."""


def trusting(authority: str | Path | None) -> ssl.SSLContext:
    """The system's roots, and those in the PEM file ``authority``. Raises :class:`OSError`."""
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(authority)
    return context


def login_at(proxy: Proxy, proxies: CallerProxies) -> tuple[str, str] | None:
    """The user and the password for one of the caller's proxies."""
    for secret in proxies.secrets:
        if secret.name == proxy.secret:
            return proxy.username, secret.reveal().decode("utf-8", "surrogateescape")
    return None


class Answer(NamedTuple):
    """What a service answered."""

    service: Service
    status: int
    body: bytes

    def at(self, *path: str) -> Any:
        """What stands there in a JSON document, ``None`` if nothing does. Raises :class:`SecretUnavailable` if it is none."""
        try:
            found = json_.loads(self.body)
        except (ValueError, RecursionError):
            raise self.service.failure("answered with something that is not JSON") from None
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def text(self, *path: str) -> str:
        """The text there. Raises :class:`SecretUnavailable` if there is none, or an empty one."""
        found = self.at(*path)
        if not isinstance(found, str) or not found:
            raise self.service.failure(f"answered without {'.'.join(path)}")
        return found


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is asked for the secret of this name; its failures are told in the service's ``name``.

    ``extra`` is what to install for it. ``context`` gives what it is trusted by. ``plain`` permits HTTP without TLS, which is
    otherwise for loopback alone: for the metadata servers of clouds, which speak nothing else.
    """

    secret: str
    name: str
    extra: str
    proxies: CallerProxies
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    plain: bool = False

    def failure(self, reason: str, hint: str = "") -> SecretUnavailable:
        """An error that begins with the service's name."""
        return SecretUnavailable(self.secret, f"{self.name} {reason}", hint=hint)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever its status. Raises :class:`SecretUnavailable` if there is none."""
        import asyncio  # here: whoever has no such secret starts without it

        host = self._checked(url)
        if not all(map(_FIELD_VALUE.fullmatch, (headers or {}).values())):
            raise self.failure("is asked with what no header can carry", "Is there a line end in the token?")
        client = await in_thread(lambda: self._client(url, host))
        import httpx  # loaded by now

        try:
            async with (
                asyncio.timeout(TIME_LIMIT),
                client,
                client.stream(method, url, headers=headers, json=json, data=form) as answer,
            ):
                return Answer(self, answer.status_code, await self._body(answer))
        except (TimeoutError, httpx.TimeoutException):
            raise self.failure(f"at {host} did not answer within {TIME_LIMIT:.0f} s") from None
        except httpx.InvalidURL:
            raise self.failure("has an address that cannot be read") from None
        except httpx.HTTPError as error:
            raise self._unreached(host, error) from None

    async def _body(self, answer: httpx.Response) -> bytes:
        if 300 <= answer.status_code < 400:
            raise self.failure(
                f"answered with a redirect (status {answer.status_code}), which is never followed",
                hint="Name the address that it leads to.",
            )
        body = b""
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER:
                raise self.failure(f"answered with more than {MAX_ANSWER} bytes")
        return body

    def _checked(self, url: str) -> str:
        """The host. Raises :class:`SecretUnavailable` for what nobody should be asked."""
        try:
            parts = urlsplit(url)
            host = canonical_host(parts.hostname or "")
        except (ValueError, ClientError):
            raise self.failure("has an address that cannot be read") from None
        loopback = host == "localhost" or (is_address(host) and (host.startswith("127.") or host == "::1"))
        if parts.scheme != "https" and not (parts.scheme == "http" and (loopback or self.plain)):
            raise self.failure(f"at {host} is not asked without TLS", hint="Its address has to begin with https://.")
        return host

    def _client(self, url: str, host: str) -> httpx.AsyncClient:
        try:
            import httpx
        except ImportError:
            hint = f"pip install 'outward[{self.extra}]'"
            raise SecretUnavailable(self.secret, f"{self.name} needs httpx, which is not there", hint=hint) from None
        proxy = self.proxy_for(url, host)
        login = login_at(proxy, self.proxies) if proxy is not None else None
        through = None if proxy is None else httpx.Proxy(str(proxy), auth=login)
        # Nothing is taken from the environment of this process.
        return httpx.AsyncClient(verify=self._trust(), proxy=through, trust_env=False, timeout=TIME_LIMIT)

    def proxy_for(self, url: str, host: str) -> Proxy | None:
        """The caller's proxy that leads there. Raises :class:`SecretUnavailable` if it is one that sources do not speak to."""
        proxy = self.proxies.by_scheme.get(urlsplit(url).scheme)
        if proxy is None or self.plain or bypassed(host, proxy.no_proxy):
            return None
        if proxy.scheme not in {"http", "https"}:
            raise self.failure(
                f"cannot be asked through {proxy}: sources speak to HTTP proxies alone",
                hint=f"Add {host} to NO_PROXY, or name an HTTP proxy.",
            )
        return proxy

    def _trust(self) -> ssl.SSLContext:
        try:
            return self.context()
        except OSError as error:  # ssl.SSLError is one
            raise self.failure(f"cannot be verified: {error.strerror or error}") from None

    def _unreached(self, host: str, error: httpx.HTTPError) -> SecretUnavailable:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            return self.failure(f"at {host} cannot be verified: {cause.verify_message}")
        import httpx

        # Any other error may repeat what was sent, or answered.
        reason = str(error) if isinstance(error, httpx.ConnectError | httpx.ProxyError) else ""
        return self.failure(f"at {host} cannot be reached: {reason or type(error).__name__}")
