"""AWS by moto's server, asked by botocore itself: it checks signatures and permissions, and answers as AWS does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from outward.core import SecretUnavailable
from outward.credentials.sources import aws as aws_source
from tests.conftest import CLIENTS
from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from tests.integration.sources.conftest import World

pytestmark = pytest.mark.needs("moto")

SECRET = "key: {aws: {secret: dev/github}}"
PARAMETER = "key: {aws: {parameter: /dev/github}}"
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:*", "ssm:*"], "Resource": "*"}],
}


class Account(NamedTuple):
    """AWS as moto plays it: its address, its roots, and the key pairs of one who may and of one who may not."""

    url: str
    authority: Path
    allowed: dict[str, str]
    denied: dict[str, str]

    def client(self, service: str, keys: dict[str, str]) -> Any:
        from botocore.session import Session

        return Session().create_client(
            service,
            region_name="eu-central-1",
            endpoint_url=self.url,
            verify=str(self.authority),
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )


def user(account: Account, name: str, policy: dict[str, Any] | None) -> dict[str, str]:
    iam = account.client("iam", account.allowed)
    iam.create_user(UserName=name)
    if policy is not None:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}


@pytest.fixture(scope="module")
def account(server_ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    directory = tmp_path_factory.mktemp("moto")
    pair = server_ca.issue_cert("127.0.0.1")
    pair.private_key_pem.write_to_path(str(directory / "key.pem"))
    for part in pair.cert_chain_pems:
        part.write_to_path(str(directory / "cert.pem"), append=True)
    server_ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    process = subprocess.Popen(
        [
            *(str(CLIENTS / "moto_server"), "-H", "127.0.0.1", "-p", "0"),
            *("-c", str(directory / "cert.pem"), "-k", str(directory / "key.pem")),
        ],
        # From the tenth request on it asks who is asking.
        env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "9"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    found = next(match for line in process.stderr if (match := re.search(r"https://127\.0\.0\.1:\d+", line)))
    anybody = {"AWS_ACCESS_KEY_ID": "AKIA-test", "AWS_SECRET_ACCESS_KEY": "test"}
    account = Account(found[0], directory / "ca.pem", anybody, anybody)
    account = account._replace(allowed=user(account, "agent", ALLOWED), denied=user(account, "other", None))
    secrets = account.client("secretsmanager", anybody)
    secrets.create_secret(Name="dev/github", SecretString="ghp_test-aws")
    secrets.create_secret(Name="dev/database", SecretString='{"username": "u1", "password": "p1"}')
    secrets.create_secret(Name="dev/binary", SecretBinary=b"\x01\xff")
    account.client("ssm", anybody).put_parameter(Name="/dev/github", Value="ghp_test-ssm", Type="SecureString")
    yield account
    process.terminate()
    process.communicate()


@pytest.fixture
def aws(world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """botocore reads the variables of this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nothing = str(world.home / "no-such-file")
    variables = {
        "AWS_ENDPOINT_URL": account.url,
        "AWS_CA_BUNDLE": str(account.authority),
        "AWS_CONFIG_FILE": nothing,
        "AWS_SHARED_CREDENTIALS_FILE": nothing,
        "AWS_EC2_METADATA_DISABLED": "true",
        **account.allowed,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    world.environment["AWS_REGION"] = "eu-central-1"
    return account


def test_secrets_and_parameters(world: World, aws: Account) -> None:
    assert world.get(SECRET) == "ghp_test-aws"
    assert world.get(PARAMETER) == "ghp_test-ssm"
    assert world.get("key: {aws: {secret: dev/database, field: password}}") == "p1"
    for broken, why in (
        ("key: {aws: {secret: dev/gitlab}}", "no such secret"),
        ("key: {aws: {parameter: /dev/gitlab}}", "no such parameter"),
        ("key: {aws: {secret: dev/github, region: us-east-1}}", "no such secret"),
        ("key: {aws: {secret: dev/database, field: token}}", "no field 'token'"),
        ("key: {aws: {secret: dev/github, field: token}}", "no JSON object"),
        ("key: {aws: {secret: dev/binary, field: token}}", "no JSON object"),
        ("key: {aws: {secret: dev/github, profile: nobody}}", "ProfileNotFound"),
    ):
        with pytest.raises(SecretUnavailable, match=why):
            world.get(broken)


@pytest.mark.parametrize("code", aws_source._REASONS)
def test_what_aws_says_is_told_with_the_way_out(
    world: World, aws: Account, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    class Refusing:
        def get_secret_value(self, **_: str) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "sk-leak"}}, "GetSecretValue")

    assert world.get(SECRET) == "ghp_test-aws"
    monkeypatch.setattr(aws_source, "_client", lambda *_: Refusing())
    with pytest.raises(SecretUnavailable, match=aws_source._REASONS[code][0]) as caught:
        world.get(SECRET)
    assert "sk-leak" not in f"{caught.value}{caught.value.hint}"


def test_an_answer_that_is_none_is_not_repeated(
    world: World, aws: Account, upstream: Callable[..., Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def garbage(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            writer.write(answer(body=b"{sk-leak", headers="content-type: application/x-amz-json-1.1\r\n"))
            await writer.drain()

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{upstream('127.0.0.1', handler=garbage).port}")
    for secret in (SECRET, PARAMETER):
        with pytest.raises(SecretUnavailable, match="AWS: ") as caught:
            world.get(secret)
        assert "sk-leak" not in f"{caught.value}{caught.value.hint}"


def test_octets(world: World, aws: Account) -> None:
    store = world.store("key: {aws: {secret: dev/binary}}")
    assert asyncio.run(store.get("key")).reveal() == b"\x01\xff"


@pytest.mark.parametrize("secret", [SECRET, PARAMETER])
def test_who_may_not_or_is_not_who_it_says(
    world: World, aws: Account, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    for name, value in aws.denied.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SecretUnavailable, match="refused with 403"):  # where AWS says AccessDeniedException
        world.get(secret)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.allowed["AWS_ACCESS_KEY_ID"])  # with the other's key
    with pytest.raises(SecretUnavailable, match="AWS: "):
        world.get(secret)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SecretUnavailable, match="no credentials"):
        world.get(secret)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SecretUnavailable, match="no credentials"):
        world.get(secret)


def test_a_profile(world: World, aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.home / "credentials"
    keys = "\n".join(f"{name.lower()} = {value}" for name, value in aws.allowed.items())
    file.write_text(f"[work]\n{keys}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for name in aws.allowed:
        monkeypatch.delenv(name)
    assert world.get(SECRET.replace("github", "github, profile: work")) == "ghp_test-aws"
    with pytest.raises(SecretUnavailable):
        world.get(SECRET)


def test_only_who_is_trusted_is_asked(world: World, aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(SecretUnavailable, match="SSLError"):
        world.get(SECRET)


def test_no_region(world: World, aws: Account) -> None:
    del world.environment["AWS_REGION"]
    with pytest.raises(SecretUnavailable, match="no region") as caught:
        world.get(SECRET)
    assert "AWS_REGION" in caught.value.hint
    assert world.get(SECRET.replace("github", "github, region: eu-central-1")) == "ghp_test-aws"


def test_nobody_there(world: World, aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SecretUnavailable, match="EndpointConnectionError"):
        world.get(SECRET)


def test_rotation(world: World, aws: Account, now: list[float]) -> None:
    """A value that was replaced is taken up within its ttl, and the old one is used until then."""

    async def story() -> None:
        secrets = aws.client("secretsmanager", aws.allowed)
        secrets.put_secret_value(SecretId="dev/database", SecretString='{"username": "u2", "password": "p2"}')
        store = world.store(
            "user: {aws: {secret: dev/database, field: username}, ttl: 1m}",
            "password: {aws: {secret: dev/database, field: password}, ttl: 1m}",
        )
        assert (await store.get("user")).reveal() == b"u2"
        secrets.put_secret_value(SecretId="dev/database", SecretString='{"username": "u1", "password": "p1"}')
        assert (await store.get("password")).reveal() == b"p2", "that of the user, though it was asked for later"
        now[0] += 61
        assert (await store.get("user")).reveal() == b"u1"
        assert (await store.get("password")).reveal() == b"p1"

    asyncio.run(story())
