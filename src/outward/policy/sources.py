"""What a policy was made from, so that another process makes the same of it without reading or asking again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Self

from outward.core import OutwardError
from outward.core.records import NamedTuple
from outward.policy.load import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.policy.model import Policy, Registries


class Sources(NamedTuple):
    """Everything that :func:`load` was told: a policy follows from this alone.

    ``texts`` are the files that were read, by path; ``urls`` and ``variables`` the answers of :class:`Registries`.
    """

    file: Path | None
    home: Path
    texts: dict[str, str]
    urls: dict[str, tuple[str, ...]]
    variables: dict[str, dict[str, str]]

    def load(self) -> Policy:
        """The policy. Raises :class:`PolicyError`; also if something is needed that was not there when it was gathered."""
        return load(self.file, registries=_Given(self), home=self.home, files=self._text)

    def _text(self, path: Path) -> str:
        try:
            return self.texts[str(path)]
        except KeyError:
            raise OutwardError(f"{path} was not read before") from None

    def to_json(self) -> str:
        """As text. It holds what the policy's files hold: names of secrets, never their values."""
        return json.dumps(
            {
                "file": None if self.file is None else str(self.file),
                "home": str(self.home),
                "texts": self.texts,
                "urls": self.urls,
                "variables": self.variables,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of :meth:`to_json`."""
        given = json.loads(text)
        file = None if given["file"] is None else Path(given["file"])
        urls = {client: tuple(urls) for client, urls in given["urls"].items()}
        return cls(file, Path(given["home"]), given["texts"], urls, given["variables"])


def gather(
    file: Path | None, *, registries: Registries, home: Path, files: Callable[[Path], str]
) -> tuple[Policy, Sources]:
    """As :func:`load`, with what the policy was made from. A file is read once, however often it is needed."""
    sources = Sources(file, home, {}, {}, {})

    def read(path: Path) -> str:
        if str(path) not in sources.texts:
            sources.texts[str(path)] = files(path)
        return sources.texts[str(path)]

    return load(file, registries=_Noted(sources, registries), home=home, files=read), sources


class _Given:
    """:class:`Registries` whose answers are known."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def urls(self, client: str) -> tuple[str, ...]:
        return self._sources.urls.get(client, ())

    def variables(self, client: str) -> dict[str, str]:
        return self._sources.variables.get(client, {})


class _Noted:
    """:class:`Registries` whose answers are noted down."""

    def __init__(self, sources: Sources, asked: Registries) -> None:
        self._sources = sources
        self._asked = asked

    def urls(self, client: str) -> tuple[str, ...]:
        return self._sources.urls.setdefault(client, self._asked.urls(client))

    def variables(self, client: str) -> dict[str, str]:
        return self._sources.variables.setdefault(client, dict(self._asked.variables(client)))
