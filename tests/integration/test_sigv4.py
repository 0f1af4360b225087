"""boto3 with keys that are none, through the real gateway, to servers that check signatures as AWS does."""

from __future__ import annotations

import json
import subprocess
import textwrap
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CLIENTS
from tests.support.aws import OWN_STORE, Aws, Key, check, served
from tests.support.http2 import http2
from tests.support.http2_server import Http2Server, Stream
from tests.support.serve import Serve
from tests.support.upstream import Seen, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

pytestmark = pytest.mark.needs("moto")

REGION = "eu-central-1"
HOSTS = [f"{name}.{REGION}.amazonaws.com" for name in ("s3", "*.s3", "sqs", "dynamodb", "sts", "bedrock-runtime")] + [
    "*.s3.amazonaws.com"
]
REFUSED_STREAM = 7
REAL = {"ID": "AKIATESTREALREALREAL", "KEY": "synthetic/REAL+secret/key0123456789abcdef"}
POLICY = """
secrets:
  id: {{env: ID, placeholder: AKIAPLACEHOLDER00000}}
  key: {{env: KEY, placeholder: placeholder/of/a/secret/key/0123456789ab}}
destinations:
  - host: "*.amazonaws.com"
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{{sigv4: {{access_key: id, secret_key: key{more}}}}}]
"""


@pytest.fixture(scope="module")
def aws(server_ca: trustme.CA) -> Iterator[tuple[Aws, Upstream]]:
    with served(server_ca, *HOSTS) as both:
        yield both


class World:
    def __init__(self, keeper: Aws, server: Upstream, gateway: Serve) -> None:
        self.keeper = keeper
        self.server = server
        self.gateway = gateway

    def run(self, script: str, **environment: str) -> str:
        """A script of boto3's, with what has been printed; it knows nothing but placeholders."""
        result = subprocess.run(
            [CLIENTS / "python", "-c", PROLOGUE + textwrap.dedent(script)],
            env={
                "HTTPS_PROXY": f"http://{self.gateway.address}",
                "AWS_CA_BUNDLE": self.gateway.ca,
                "AWS_ACCESS_KEY_ID": "AKIAPLACEHOLDER00000",
                "AWS_SECRET_ACCESS_KEY": "placeholder/of/a/secret/key/0123456789ab",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_MAX_ATTEMPTS": "1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "HOME": "/nonexistent",
                "PATH": "/usr/bin:/bin",
            }
            | environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return result.stdout + result.stderr


PROLOGUE = """
import boto3, sys
from botocore.config import Config
from botocore.exceptions import ClientError
def client(name, **options):
    return boto3.client(name, config=Config(**options))
"""


@pytest.fixture(scope="module")
def shared(
    aws: tuple[Aws, Upstream], server_ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """A gateway with the usual policy, for all who do not look into its state."""
    directory = tmp_path_factory.mktemp("gateway")
    server_ca.cert_pem.write_to_path(str(directory / "server-ca.pem"))
    policy = POLICY.format(port=aws[1].port, more="").replace("CA", str(directory / "server-ca.pem"))
    gateway = Serve(directory, policy, env=REAL)
    yield gateway
    gateway.stop()


@pytest.fixture
def world(aws: tuple[Aws, Upstream], shared: Serve, serve: Callable[..., Serve]) -> Callable[..., World]:
    """With a gateway of its own if anything is not as usual, or with ``own``."""
    keeper, server = aws
    keeper.keys = {REAL["ID"]: Key(REAL["KEY"])}
    keeper.refused.clear()
    keeper.signed_by.clear()
    server.seen.clear()

    def start(more: str = "", env: dict[str, str] = REAL, policy: str = POLICY, *, own: bool = False) -> World:
        if (more, env, policy, own) == ("", REAL, POLICY, False):
            return World(keeper, server, shared)
        return World(keeper, server, serve(policy.format(port=server.port, more=more), env=env))

    return start


S3 = """
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="bucket1", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    key = "a b/ü+c!$&'(),:;=@~*.txt"
    s3.put_object(Bucket="bucket1", Key=key, Body=b"hello " * 50000, Metadata={"one": "two  three"})
    answer = s3.get_object(Bucket="bucket1", Key=key, Range="bytes=0-4", ResponseContentType="text/x+y")
    print(answer["Body"].read(), answer["Metadata"])
    print([each["Key"] == key for each in s3.list_objects_v2(Bucket="bucket1", Prefix="a b/ü+c")["Contents"]])
    upload = s3.create_multipart_upload(Bucket="bucket1", Key="big")["UploadId"]
    parts = []
    for number in (1, 2):
        part = s3.upload_part(Bucket="bucket1", Key="big", UploadId=upload, PartNumber=number, Body=b"x" * 5_300_000)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket="bucket1", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    print(s3.head_object(Bucket="bucket1", Key="big")["ContentLength"])
    s3.delete_object(Bucket="bucket1", Key="big")
"""


def test_objects(world: Callable[..., World]) -> None:
    here = world()
    out = here.run(S3)
    assert out.splitlines() == ["b'hello' {'one': 'two  three'}", "[True]", "10600000"], out
    assert here.keeper.refused == []
    assert set(here.keeper.signed_by) == {REAL["ID"]}


def test_the_wrong_secret_is_refused(world: Callable[..., World]) -> None:
    """The check is one: with another key, or without our signature, nothing gets through."""
    here = world(env=REAL | {"KEY": "synthetic/WRONG+secret/key0123456789abcde"})
    assert "SignatureDoesNotMatch" in here.run("client('s3').list_buckets()")
    here = world(env=REAL | {"ID": "AKIATESTNOBODY000000"})
    assert "InvalidAccessKeyId" in here.run("client('s3').list_buckets()")
    bare = POLICY.replace("inject", "client_credentials: pass\n    # ")
    assert "InvalidAccessKeyId" in world(policy=bare).run("client('s3').list_buckets()", AWS_ACCESS_KEY_ID="AKIAOTHER")
    assert here.keeper.signed_by == []


PRESIGNED = """
    import urllib.request
    s3 = client("s3", signature_version="s3v4")
    try:
        s3.create_bucket(Bucket="bucket2", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass
    import ssl, os
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    def call(method, url, body=None, **headers):
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        return urllib.request.urlopen(request, context=context).read()
    given = {"Bucket": "bucket2", "Key": "a b/c+d"}
    url = s3.generate_presigned_url("put_object", Params={**given, "ContentType": "text/plain"}, ExpiresIn=60)
    call("PUT", url, b"presigned", **{"Content-Type": "text/plain"})
    url = s3.generate_presigned_url("get_object", Params={**given, "ResponseContentType": "text/x y"}, ExpiresIn=77)
    print(call("GET", url))
    sts = client("sts", region_name="eu-central-1")
    print(len(call("GET", sts.generate_presigned_url("get_caller_identity", ExpiresIn=60))) > 0)
"""


@pytest.mark.parametrize("token", ["", "synthetic+session/token="])
def test_presigned_urls(world: Callable[..., World], token: str) -> None:
    policy = POLICY.replace("destinations", "  token: {{env: TOKEN}}\ndestinations") if token else POLICY
    here = world(", session_token: token" if token else "", env=REAL | {"TOKEN": token}, policy=policy)
    here.keeper.keys = {REAL["ID"]: Key(REAL["KEY"], token or None)}
    out = here.run(PRESIGNED, **({"AWS_SESSION_TOKEN": "placeholder-token"} if token else {}))
    assert out.splitlines() == ["b'presigned'", "True"], out
    assert here.keeper.refused == []
    seen = here.server.seen[-2].target
    assert "X-Amz-Expires=77" in seen
    assert "PLACEHOLDER" not in seen
    assert token == "" or "placeholder-token" not in str([each.target for each in here.server.seen])
    records = str(here.gateway.journal())
    assert "X-Amz-Signature=***" in records
    assert not token or token not in records


SERVICES = """
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName="q1")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="hello & goodbye +=")
    print(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    table = {"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "k", "KeyType": "HASH"}
    db = client("dynamodb")
    if "t1" not in db.list_tables()["TableNames"]:
        db.create_table(TableName="t1", AttributeDefinitions=[table[0]], KeySchema=[table[1]], BillingMode="PAY_PER_REQUEST")
    db.put_item(TableName="t1", Item={"k": {"S": "k"}, "v": {"S": "x" * 300_000}})
    print(len(db.scan(TableName="t1")["Items"][0]["v"]["S"]))
    print(client("sts").get_caller_identity()["Account"])
"""


def test_services_that_want_the_hash_of_the_body(world: Callable[..., World]) -> None:
    here = world()
    assert here.run(SERVICES).splitlines() == ["hello & goodbye +=", "300000", "123456789012"]
    assert here.keeper.refused == []
    assert not any(seen.all("transfer-encoding") for seen in here.server.seen)


S3_HOST = f"s3.{REGION}.amazonaws.com"
SCOPE = f"AKIAMINE/20260101/{REGION}/s3/aws4_request"
SIGNED = f"authorization: AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=00"
ATTACKER = {"AWS_ACCESS_KEY_ID": "AKIAATTACKER00000000", "AWS_SECRET_ACCESS_KEY": "attackers/own/real/key"}


def test_an_attackers_own_key_does_not_arrive(world: Callable[..., World]) -> None:
    """It is a good one: without the form the request goes out as the attacker's."""
    script = "client('s3').list_buckets(); client('sqs').list_queues(); client('sts').get_caller_identity()"
    passing = POLICY.replace("inject", "client_credentials: pass\n    # ")
    keys = {REAL["ID"]: Key(REAL["KEY"]), "AKIAATTACKER00000000": Key("attackers/own/real/key")}
    here = world(policy=passing)
    here.keeper.keys = keys
    assert here.run(script, **ATTACKER) == ""
    assert set(here.keeper.signed_by) == {"AKIAATTACKER00000000"}
    here = world()
    here.keeper.keys = keys
    here.keeper.signed_by.clear()
    assert here.run(script, **ATTACKER) == ""
    assert set(here.keeper.signed_by) == {REAL["ID"]}
    assert here.keeper.refused == []


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/bucket3/k", SIGNED),
        ("/bucket3/k", "authorization: AWS AKIAMINE:c2lnbmF0dXJl"),
        ("/bucket3/k", "authorization: Bearer mine\r\nx-amz-date: 20200101T000000Z\r\nx-amz-security-token: mine"),
        ("/bucket3/k?AWSAccessKeyId=AKIAMINE&Expires=9999999999&Signature=mine", "x-amz-s3session-token: mine"),
        ("/bucket3/k?X-Amz-Signature=mine&x-amz-security-token=mine&%58-Amz-Credential=AKIAMINE", SIGNED),
        ("/bucket3/k", ""),
    ],
)
def test_whatever_the_client_signs_with_it_is_ours(world: Callable[..., World], target: str, fields: str) -> None:
    here = world()
    answer = here.gateway.get(S3_HOST, target, f"{fields}\r\n" if fields else "")
    assert b"NoSuchBucket" in answer.body
    (seen,) = here.server.seen
    assert "AKIAMINE" not in f"{seen.target} {seen.headers}"
    assert "mine" not in f"{seen.target} {seen.headers}"
    assert here.keeper.signed_by == [REAL["ID"]]


@pytest.mark.parametrize(
    ("method", "fields", "body", "why"),
    [
        ("GET", "authorization: AWS4-ECDSA-P256-SHA256 Credential=A/20260101/s3/aws4_request", b"", "SigV4A"),
        ("PUT", "x-amz-content-sha256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", b"x", "anew"),
        ("PUT", "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-EVENTS", b"x", "anew"),
        ("GET", "authorization: AWS4-HMAC-SHA256 Credential=AKIAMINE", b"", "scope"),
        ("POST", "content-type: multipart/form-data; boundary=x", b"--x", "browser"),
        ("PUT", "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"hello", "complete"),
        ("PUT", "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"hello world\n", "malformed"),
    ],
)
def test_what_cannot_be_signed_anew_is_refused(
    world: Callable[..., World], method: str, fields: str, body: bytes, why: str
) -> None:
    here = world()
    answer = here.gateway.get(S3_HOST, "/bucket3/k", f"{fields}\r\n", method=method, body=body)
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert why in answer.json()["error"]["message"]
    assert here.keeper.signed_by == []


def test_a_form_with_a_signature_of_its_own_is_refused(world: Callable[..., World]) -> None:
    here = world()
    kind = "content-type: application/x-www-form-urlencoded\r\n"
    for body in (b"Action=X&AWSAccessKeyId=AKIAMINE&Signature=x", b"a=b&%58-amz-Signature=x"):
        answer = here.gateway.get(f"sqs.{REGION}.amazonaws.com", "/", kind, method="POST", body=body)
        assert (answer.status, answer.code) == (400, "malformed_request")
    body = b"Action=ListQueues&Signature=none-of-ours"
    assert here.gateway.get(f"sqs.{REGION}.amazonaws.com", "/", kind, method="POST", body=body).status == 200
    assert here.keeper.signed_by == [REAL["ID"]]


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(each), b"0" * 64, each) for each in chunks)
    end = trailer + b"x-amz-trailer-signature:%b\r\n" % (b"0" * 64) if trailer else b""
    return body + b"0;chunk-signature=%b\r\n" % (b"0" * 64) + end + b"\r\n"


@pytest.mark.parametrize("trailer", [b"", b"x-amz-checksum-sha256:hBfCGaPb2yeDIpNBdT2fFVI3AN5VbvXBDLoCkmY53bw=\r\n"])
@pytest.mark.parametrize("count", [1, 60])
def test_chunks_are_signed_anew_as_they_come(world: Callable[..., World], trailer: bytes, count: int) -> None:
    here = world()
    here.run(
        "client('s3').create_bucket(Bucket='bucket4', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})"
    )
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    fields = [
        ("x-amz-content-sha256", payload),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", str(65536 * count)),
        ("authorization", SIGNED.partition(": ")[2]),
        *([("x-amz-trailer", "x-amz-checksum-sha256")] if trailer else []),
    ]
    body = chunked(*[b"c" * 65536] * count, trailer=trailer)
    here.keeper.signed_by.clear()
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    assert here.gateway.get(S3_HOST, "/bucket4/k", head, method="PUT", body=body).status == 200
    with http2(here.gateway, S3_HOST) as client:
        assert client.request("PUT", "/bucket4/k", *fields, body=body).status == 200
    assert here.keeper.signed_by == [REAL["ID"]] * 2
    assert here.keeper.refused == []
    assert [len(seen.body) for seen in here.server.seen[-2:]] == [len(body)] * 2


def test_a_model_of_bedrock(world: Callable[..., World]) -> None:
    """Its path holds a colon, which a signature encodes twice."""
    here = world()
    out = here.run(
        """
        model = "eu.anthropic.claude-test-4-v1:0"
        answer = client("bedrock-runtime").invoke_model(modelId=model, body=b'{"messages": []}')
        print(answer["body"].read())
        """
    )
    assert out == "b'{\"ok\": true}'\n"
    (seen,) = here.server.seen
    assert seen.target == "/model/eu.anthropic.claude-test-4-v1%3A0/invoke"
    assert f"/{datetime.now(UTC):%Y}" in seen["authorization"]
    assert f"/{REGION}/bedrock/aws4_request" in seen["authorization"]


def test_a_client_that_waits_for_100_is_told_to_go_on(world: Callable[..., World]) -> None:
    """Its body has to be here before there is a head to send."""
    here = world()
    host = f"bedrock-runtime.{REGION}.amazonaws.com"
    with here.gateway.tunnel(host) as client:
        head = f"POST /model/m/invoke HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head.encode())
        assert client.read_head()[0] == 100
        client.send(b"2\r\n{}\r\n0\r\n\r\n")
        assert client.read_answer().status == 200
    (seen,) = here.server.seen
    assert (seen.body, seen["content-length"], seen.all("expect")) == (b"{}", "2", [])


def test_a_body_that_is_too_large_to_be_kept_is_refused(world: Callable[..., World]) -> None:
    here = world(own=True)
    host = f"bedrock-runtime.{REGION}.amazonaws.com"
    size = 33 * 1024 * 1024
    with here.gateway.tunnel(host) as client:
        client.send(f"POST /model/m/invoke HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n".encode())
        answer = None
        try:
            for _ in range(33):
                client.send(b"x" * 1024 * 1024)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = client.read_answer()
    assert (answer.status, answer.code) == (400, "malformed_request")
    digest = sha256(b"y" * 1024).hexdigest()
    fine = here.gateway.get(
        host, "/model/m/invoke", f"x-amz-content-sha256: {digest}\r\n", method="POST", body=b"y" * 1024
    )
    assert fine.status == 200
    assert "REAL" not in json.dumps(here.gateway.journal())


def test_neither_journal_nor_state_hold_a_key(world: Callable[..., World]) -> None:
    here = world(own=True)
    here.run("client('s3').list_buckets()")
    state = b"".join(file.read_bytes() for file in here.gateway.state.rglob("*") if file.is_file())
    for value in REAL.values():
        assert value.encode() not in state
    assert b"Signature=" not in state


def test_a_server_of_http2_and_a_request_that_is_sent_once_more(
    serve: Callable[..., Serve], server_ca: trustme.CA
) -> None:
    """What is signed is what HTTP/2 sends, the second time with another signature and the same body."""
    good: list[str] = []

    async def checking(server: Http2Server, stream: Stream) -> None:
        body = await stream.read()
        if len(server.seen) == 1:
            stream.break_off(REFUSED_STREAM)
            return
        named = [(name, value) for name, value in stream.headers if not name.startswith(":")]
        seen = Seen(stream[":method"], stream[":path"], [("host", stream[":authority"]), *named], body)
        good.append(check(seen, {REAL["ID"]: Key(REAL["KEY"])}, datetime.now(UTC)))
        stream.head(200, end=True)

    server = Http2Server(server_ca, f"sqs.{REGION}.amazonaws.com", handler=checking)
    gateway = serve(POLICY.format(port=server.port, more=""), env=REAL)
    body = b"Action=ListQueues&Version=2012-11-05"
    kind = ("content-type", "application/x-www-form-urlencoded")
    with http2(gateway, f"sqs.{REGION}.amazonaws.com") as client:
        assert client.request("POST", "/?a=b", kind, body=body).status == 200
    server.close()
    assert good == [REAL["ID"]]
    assert len(server.seen) == 2


@pytest.mark.parametrize("version", [1, 2])
def test_chunks_that_turn_bad_end_both_sides(world: Callable[..., World], version: int) -> None:
    """What has gone out cannot be taken back, so the server must not take it for whole."""
    here = world(own=True)
    body = chunked(b"c" * 65536)[:-70] + b"garbage!" * 20
    fields = [("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), ("content-encoding", "aws-chunked")]
    if version == 1:
        with here.gateway.tunnel(S3_HOST) as client:
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
            answer = client.request("PUT", "/bucket5/k", S3_HOST, lines, body)
            assert (answer.status, answer.code) == (400, "malformed_request")
            assert client.closed()
    else:
        with http2(here.gateway, S3_HOST) as client:
            assert client.request("PUT", "/bucket5/k", *fields, body=body).status == 400
            assert client.request("GET", "/bucket5").status == 404, "the others go on"
    ended = [record for record in here.gateway.journal() if record["phase"] == "end" and record["method"] == "PUT"]
    assert [record["code"] for record in ended] == ["malformed_request"]
    assert len(here.keeper.signed_by) == version - 1


def test_a_store_of_ones_own_in_the_clear(aws: tuple[Aws, Upstream], serve: Callable[..., Serve]) -> None:
    """Its host says nothing of a service, its port is signed, and clients name the hash of what is not encrypted."""
    keeper, _ = aws
    keeper.keys = {REAL["ID"]: Key(REAL["KEY"])}
    keeper.refused.clear()
    server = Upstream(None, handler=keeper.serve)
    policy = POLICY.replace('"*.amazonaws.com"', "store.corp.example\n    scheme: http\n    port: 9000").replace(
        "ca: CA", ""
    )
    here = World(keeper, server, serve(policy.format(port=server.port, more=""), env=REAL))
    proxy = {"HTTP_PROXY": f"http://{here.gateway.address}", "AWS_ENDPOINT_URL": OWN_STORE}
    out = here.run(S3.replace("bucket1", "bucket6"), **proxy)
    assert out.splitlines() == ["b'hello' {'one': 'two  three'}", "[True]", "10600000"], out
    assert {seen["host"] for seen in server.seen} == {"store.corp.example:9000"}
    assert keeper.refused == []
    wrong = World(keeper, server, serve(policy.format(port=server.port, more=""), env=REAL | {"KEY": "wrong"}))
    assert "SignatureDoesNotMatch" in wrong.run(
        "client('s3').list_buckets()", **proxy | {"HTTP_PROXY": f"http://{wrong.gateway.address}"}
    )
    server.close()
