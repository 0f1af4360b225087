"""The ways to the upstream, one module each. A module here is one proxy, set up to do the upstream's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.contenders import direct, envoy, mitmproxy, outward, srt

if TYPE_CHECKING:
    from bench.contenders.contender import Contender

CONTENDERS: Final[tuple[Contender, ...]] = (
    direct.CONTENDER,
    outward.CONTENDER,
    envoy.CONTENDER,
    srt.CONTENDER,
    mitmproxy.CONTENDER,
)

__all__ = ["CONTENDERS"]
