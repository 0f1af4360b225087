"""AWS's Security Token Service by moto's server, behind a check of signatures; and what botocore makes of refusals."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from outward.core import SecretUnavailable
from outward.credentials.sources import aws_sts
from tests.integration.sources.test_aws import Account, account, aws
from tests.support.aws import Aws, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outward.core import Secret
    from tests.integration.sources.conftest import World
    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

__all__ = ["account", "aws"]

pytestmark = pytest.mark.needs("moto")

ROLE = "arn:aws:iam::123456789012:role/agent"
SECRET = f"aws: {{aws_sts: {{role: '{ROLE}', access_key: id, secret_key: sk, region: eu-central-1}}}}"
PARTS = ("access_key_id", "secret_access_key", "session_token")


def keys(world: World, known: dict[str, str]) -> tuple[str, str]:
    world.environment |= {"ID": known["AWS_ACCESS_KEY_ID"], "SK": known["AWS_SECRET_ACCESS_KEY"]}
    return "id: {env: ID}", "sk: {env: SK}"


def fetched(world: World, *secrets: str) -> dict[str, str]:
    """The set, of one store."""

    async def fetch() -> list[Secret]:
        store = world.store(*secrets)
        return list(await asyncio.gather(*(store.get(f"aws.{part}") for part in PARTS)))

    return {secret.name: secret.reveal().decode() for secret in asyncio.run(fetch())}


def test_a_refusal_by_the_real_check_of_signatures(world: World, aws: Account) -> None:
    others = keys(world, aws.allowed)
    world.environment["SK"] = "wrong"
    with pytest.raises(SecretUnavailable, match="AWS: ") as caught:
        fetched(world, SECRET, *others)
    assert "wrong" not in str(caught.value)
    world.environment["ID"] = "AKIAWRONG"
    with pytest.raises(SecretUnavailable, match="AWS: "):
        fetched(world, SECRET, *others)


def test_a_key_that_is_none(world: World) -> None:
    world.environment |= {"ID": "AKIATESTLONGLIVED000", "SK": "synthetic-key-\N{LATIN SMALL LETTER E WITH ACUTE}"}
    with pytest.raises(SecretUnavailable, match="not ASCII"):
        fetched(world, SECRET, "id: {env: ID}", "sk: {env: SK}")


@pytest.fixture
def checking(upstream: Callable[..., Upstream]) -> Iterator[tuple[Aws, Upstream]]:
    """STS and S3 that check signatures, and know the keys that STS has given out."""
    keeper = Aws()
    keeper.keys["AKIATESTLONGLIVED000"] = Key("synthetic/long+lived/key")
    yield keeper, upstream("localhost", "s3.eu-central-1.amazonaws.com", handler=keeper.serve)
    keeper.close()


def test_a_set_that_is_good_for_signatures(
    checking: tuple[Aws, Upstream], serve: Callable[..., Serve], ca_file: Path
) -> None:
    """Asked for by a request whose signature is checked, and used for another one."""
    keeper, server = checking
    policy = f"""
        secrets:
          id: {{env: ID}}
          sk: {{env: SK}}
          {SECRET}
        destinations:
          - host: s3.eu-central-1.amazonaws.com
            connect_to: 127.0.0.1:{server.port}
            ca: CA
            allow: ["* /**"]
            inject:
              - sigv4:
                  access_key: aws.access_key_id
                  secret_key: aws.secret_access_key
                  session_token: aws.session_token
    """
    environment = {
        "ID": "AKIATESTLONGLIVED000",
        "SK": "synthetic/long+lived/key",
        "AWS_ENDPOINT_URL_STS": f"https://localhost:{server.port}",
        "AWS_CA_BUNDLE": str(ca_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    gateway = serve(policy, env=environment)
    assert gateway.get("s3.eu-central-1.amazonaws.com", "/").status == 200
    assert keeper.refused == []
    first, second = keeper.signed_by
    assert (first, second[:4]) == ("AKIATESTLONGLIVED000", "ASIA")
    made = keeper.keys[second]
    assert made.token
    written = str(gateway.journal())
    assert made.secret not in written
    assert made.token not in written
    wrong = serve(policy, env=environment | {"SK": "synthetic/wrong+key"})
    answer = wrong.get("s3.eu-central-1.amazonaws.com", "/")
    assert (answer.status, answer.code) == (503, "secret_unavailable")
    assert keeper.refused == ["SignatureDoesNotMatch"]


class Client:
    """botocore's client as `_assume` uses it."""

    def __init__(self, refusal: str = "") -> None:
        self.asked: list[dict[str, Any]] = []
        self.refusal = refusal

    def assume_role(self, **wanted: Any) -> dict[str, Any]:
        self.asked.append(wanted)
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": "sk-leak"}}, "AssumeRole")
        return {}


@pytest.mark.parametrize("code", [*aws_sts._REASONS, "SomethingElse"])
def test_refusals_are_explained_and_not_repeated(
    world: World, aws: Account, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    client = Client(code)
    monkeypatch.setattr(aws_sts, "_client", lambda *_: client)
    more = (
        f"role: '{ROLE}', external_id: x1, duration: 15m, session_name: me, policy: '{{}}', "
        "policy_arns: ['arn:aws:iam::aws:policy/R']"
    )
    with pytest.raises(SecretUnavailable, match="AWS: ") as caught:
        fetched(world, SECRET.replace(f"role: '{ROLE}'", more), *keys(world, aws.allowed))
    assert "sk-leak" not in f"{caught.value} {caught.value.hint}"
    assert client.asked == [
        {
            "RoleArn": ROLE,
            "RoleSessionName": "me",
            "DurationSeconds": 900,
            "ExternalId": "x1",
            "Policy": "{}",
            "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/R"}],
        }
    ]


def test_an_answer_without_credentials(world: World, aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_sts, "_client", lambda *_: Client())
    with pytest.raises(SecretUnavailable, match="KeyError"):
        fetched(world, SECRET, *keys(world, aws.allowed))


class Answering(Client):
    def assume_role(self, **wanted: Any) -> dict[str, Any]:
        self.asked.append(wanted)
        found = {"AccessKeyId": "ASIA-test-1", "SecretAccessKey": "sk-test-1", "SessionToken": "st-test-1"}
        return {"Credentials": {**found, "Expiration": self.expiration}}

    expiration = datetime(2100, 1, 1, tzinfo=UTC)


def test_a_set_of_one_session(world: World, aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Answering()
    monkeypatch.setattr(aws_sts, "_client", lambda *_: client)
    others = keys(world, aws.allowed)
    found = fetched(world, SECRET, *others)
    assert found == {
        "aws.access_key_id": "ASIA-test-1",
        "aws.secret_access_key": "sk-test-1",
        "aws.session_token": "st-test-1",
    }
    assert client.asked == [{"RoleArn": ROLE, "RoleSessionName": "outward", "DurationSeconds": 3600}]
    client.expiration = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(SecretUnavailable, match="expired already"):
        fetched(world, SECRET, *others)


def test_an_answer_that_is_none_is_not_repeated(world: World, aws: Account) -> None:
    """moto's server breaks at a web identity that it cannot read; botocore repeats what came."""
    secret = SECRET.replace("access_key: id, secret_key: sk", "web_identity: token")
    world.environment["TOKEN"] = "eyJ-test-web-identity"
    with pytest.raises(SecretUnavailable, match="AWS: ResponseParserError") as caught:
        fetched(world, secret, "token: {env: TOKEN}")
    assert "html" not in f"{caught.value} {caught.value.hint}"
