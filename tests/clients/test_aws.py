"""boto3 in the real sandbox, with placeholders for keys, and services that check signatures as AWS does."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import assert_only_the_placeholder, probe, spellings
from tests.support.aws import SAID, Key, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

    from tests.clients.conftest import Desk
    from tests.support.aws import Aws
    from tests.support.upstream import Upstream

pytestmark = pytest.mark.needs("bubblewrap", "moto")

REGION = "eu-central-1"
HOSTS = [f"{service}.{REGION}.amazonaws.com" for service in ("s3", "*.s3", "dynamodb", "sts", "bedrock-runtime")]
IDENTITY, SECRET = "AKIATESTREALREALREAL", "wJtestREAL/secret+key/0123456789abcdefgh"
POLICY = """
version: 1
secrets:
  aws-id: {{env: AWS_ACCESS_KEY_ID, expose: AWS_ACCESS_KEY_ID}}
  aws-key: {{env: AWS_SECRET_ACCESS_KEY, expose: AWS_SECRET_ACCESS_KEY}}
sandbox: {{env: {{set: {{AWS_DEFAULT_REGION: {region}}}}}}}
destinations:
  - host: "*.amazonaws.com"
    connect_to: 127.0.0.1:{port}
    ca: {ca}
    allow: ["* /**"]
    inject: [{{sigv4: {{access_key: aws-id, secret_key: aws-key}}}}]
"""
SCRIPT = """
python - <<'END'
import boto3
s3 = boto3.client("s3")
s3.create_bucket(Bucket="agents", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
s3.put_object(Bucket="agents", Key="a b", Body=b"hello")
print(s3.get_object(Bucket="agents", Key="a b")["Body"].read())
print(boto3.client("dynamodb").list_tables()["TableNames"], boto3.client("sts").get_caller_identity()["Account"])
END
"""


@pytest.fixture(scope="module")
def aws(server_ca: trustme.CA) -> Iterator[tuple[Aws, Upstream]]:
    with served(server_ca, *HOSTS) as both:
        yield both


def test_boto3_works_without_ever_having_a_key(desk: Desk, aws: tuple[Aws, Upstream]) -> None:
    keeper, server = aws
    keeper.keys[IDENTITY] = Key(SECRET)
    desk.caller.environment |= {"AWS_ACCESS_KEY_ID": IDENTITY, "AWS_SECRET_ACCESS_KEY": SECRET}
    policy = POLICY.format(region=REGION, port=server.port, ca=desk.ca)
    desk.caller.file(desk.policy, textwrap.dedent(policy))
    done = desk.inside(SCRIPT)
    assert done.stdout.splitlines() == ["b'hello'", "[] 123456789012"], done.stderr
    assert keeper.refused == []
    assert set(keeper.signed_by) == {IDENTITY}
    seen = desk.inside(probe("wJtestREAL")).stdout
    assert_only_the_placeholder(seen, "AWS_ACCESS_KEY_ID", IDENTITY)
    assert "AWS_SECRET_ACCESS_KEY=" in seen
    for value in (IDENTITY, SECRET):
        assert not any(form.decode() in seen for form in spellings(value))
        desk.assert_unseen(value)
    sent = repr([(each.target, each.headers) for each in server.seen]).encode()
    assert not any(form in sent for form in spellings(SECRET)), "a secret key is never sent to anybody"

    desk.caller.environment["AWS_SECRET_ACCESS_KEY"] = SECRET[::-1]
    assert "SignatureDoesNotMatch" in desk.inside(SCRIPT).stderr


BEDROCK = """
version: 1
secrets:
  aws-id: {{env: AWS_ACCESS_KEY_ID, expose: AWS_ACCESS_KEY_ID}}
  aws-key: {{env: AWS_SECRET_ACCESS_KEY, expose: AWS_SECRET_ACCESS_KEY}}
destinations:
  - host: bedrock-runtime.{region}.amazonaws.com
    connect_to: 127.0.0.1:{port}
    ca: {ca}
    allow: ["POST /model/*/*"]
    inject: [{{sigv4: {{access_key: aws-id, secret_key: aws-key}}}}]
sandbox:
  env:
    set:
      CLAUDE_CODE_USE_BEDROCK: "1"
      CLAUDE_CODE_MAX_RETRIES: "0"
      AWS_REGION: {region}
      ANTHROPIC_MODEL: eu.anthropic.claude-test-v1:0
      ANTHROPIC_DEFAULT_HAIKU_MODEL: eu.anthropic.claude-test-v1:0
"""


@pytest.mark.needs("claude")
def test_claude_code_talks_to_bedrock(desk: Desk, aws: tuple[Aws, Upstream]) -> None:
    keeper, server = aws
    keeper.keys[IDENTITY] = Key(SECRET)
    keeper.signed_by.clear()
    keeper.refused.clear()
    desk.caller.environment |= {"AWS_ACCESS_KEY_ID": IDENTITY, "AWS_SECRET_ACCESS_KEY": SECRET}
    desk.caller.file(desk.policy, textwrap.dedent(BEDROCK.format(region=REGION, port=server.port, ca=desk.ca)))
    ask = ("run", "--quiet", "--policy", str(desk.policy), "--", "claude", "-p", "hi")
    done = desk.caller.outward(*ask)
    assert (done.stdout.strip(), done.returncode) == (SAID, 0), done.stderr
    assert keeper.refused == []
    assert set(keeper.signed_by) == {IDENTITY}
    desk.assert_unseen(SECRET)
    desk.caller.environment["AWS_SECRET_ACCESS_KEY"] = SECRET[::-1]
    assert SAID not in desk.caller.outward(*ask).stdout
    assert "SignatureDoesNotMatch" in keeper.refused
