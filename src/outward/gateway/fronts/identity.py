"""Whose connections a listener's are (docs/architecture.md, step 1)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from outward.gateway.gateway import Gateway


class Identity:
    """One agent's; or, where clients must log in, that of the agent whose name and token they give.

    Whether they must is settled when the listener is opened: no reload takes the demand away.
    """

    def __init__(self, agent: str, *, login: bool) -> None:
        self.agent: Final = agent
        self.login: Final = login

    async def check(self, gateway: Gateway, name: str, token: bytes) -> str | None:
        """The agent of that name, if ``token`` is the value of its secret."""
        spec = gateway.ruleset.policy.agents.get(name)
        if spec is None:
            return None
        try:
            secret = await gateway.ruleset.store.get(spec.secret)
        except SecretUnavailable:
            return None
        return name if hmac.compare_digest(secret.reveal(), token) else None
