"""What is signed, for which service, and what is taken off: compared with botocore's own signers, and piece by piece."""

from __future__ import annotations

import sys
from hashlib import sha256
from urllib.parse import parse_qsl, quote

import pytest
from botocore import auth, compat
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outward.core import ClientError, Injection, Secret, SecretUnavailable
from outward.credentials.forms.sigv4 import SigV4, form
from outward.credentials.forms.sigv4.hosts import service_and_region
from tests.unit.credentials.forms.sigv4.conftest import STAMP, VALUES, WHEN, dummy, field, request, sign, sigv4

HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture(autouse=True)
def _botocores_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "get_current_datetime", lambda remove_tzinfo=True: WHEN.replace(tzinfo=None))
    assert compat.get_current_datetime is not None


def hash_of(body: bytes) -> str:
    return sha256(body).hexdigest()


def botocores(
    signer: type[auth.SigV4Auth], method: str, url: str, headers: dict[str, str], body: bytes, service: str, **more: int
) -> AWSRequest:
    """The request as a client with the real keys would have signed it."""
    credentials = Credentials(
        VALUES["id"].reveal().decode(), VALUES["key"].reveal().decode(), VALUES["token"].reveal().decode()
    )
    made = AWSRequest(method, url, headers=headers, data=body)
    signer(credentials, service, "eu-central-1", **more).add_auth(made)
    return made


NAMES = st.text("abc/~ +%é!$()*':;=@,._-", min_size=1, max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(["x-amz-meta-one", "content-type", "x-amz-target", "if-match"]),
    st.text("ab c\té", min_size=1).map(str.strip).filter(bool),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    service=st.sampled_from(["s3", "dynamodb", "bedrock"]),
    path=st.lists(NAMES.filter(lambda name: name.strip("/") not in {".", "..", ""}), max_size=3),
    query=st.lists(st.tuples(NAMES, NAMES), max_size=3),
    headers=HEADERS,
    body=st.binary(max_size=20),
)
def test_in_the_header_as_botocore_does(
    service: str, path: list[str], query: list[tuple[str, str]], headers: dict[str, str], body: bytes
) -> None:
    where = "/" + "/".join(quote(segment, safe="/~") for segment in path)
    asked = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)
    host = f"{service}.eu-central-1.amazonaws.com"
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    theirs = botocores(signer, "PUT", f"https://{host}{where}?{asked}", dict(headers), body, service)
    wire = [(name, value.encode().decode("latin-1")) for name, value in headers.items()]
    if service == "s3":
        wire.append(("x-amz-content-sha256", theirs.headers["x-amz-content-sha256"]))
    covered = ";".join(("host", *headers))
    unsigned = request(
        f"PUT {where}?{asked}",
        *wire,
        ("authorization", dummy("eu-central-1", service, covered)),
        host=host,
        body=body,
    )
    signed = sign(sigv4(True), unsigned)
    assert field(signed, "authorization") == theirs.headers["authorization"]
    assert field(signed, "x-amz-date") == theirs.headers["x-amz-date"] == STAMP
    assert field(signed, "x-amz-security-token") == VALUES["token"].reveal().decode()
    assert signed.query == asked


@pytest.mark.parametrize(("service", "signer"), [("s3", auth.S3SigV4QueryAuth), ("sts", auth.SigV4QueryAuth)])
def test_in_the_query_as_botocore_does(service: str, signer: type[auth.SigV4QueryAuth]) -> None:
    host, asked = f"{service}.eu-central-1.amazonaws.com", "Action=GetCallerIdentity&a=b%20c"
    theirs = botocores(signer, "GET", f"https://{host}/k%20ey?{asked}", {}, b"", service, expires=4711).url
    placeholder = theirs.replace("AKIAIOSFODNN7EXAMPLE", "AKIAPLACEHOLDER").replace("Signature=", "Signature=0")
    signed = sign(sigv4(True), request(f"GET {placeholder.partition(host)[2]}", host=host))
    assert sorted(parse_qsl(signed.query)) == sorted(parse_qsl(theirs.partition("?")[2]))


def test_the_query_is_sent_in_one_spelling() -> None:
    signed = sign(sigv4(), request("GET /?b=+&a&c=x;y&%7e=%7E&&d=%2f/"))
    assert signed.query == "b=%20&a&c=x%3By&~=~&d=%2F%2F"


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("a=1&X-Amz-Signature=x&X-Amz-Date=y&b=2", "a=1&b=2"),
        ("a=1&x%2Damz-security-token=x;X-AMZ-Credential=y", "a=1"),
        ("AWSAccessKeyId=x&Expires=1&Signature=y", "Expires=1"),
        ("signature=of+something+else", "signature=of%20something%20else"),
        ("x-amz-checksum-mode=ENABLED", "x-amz-checksum-mode=ENABLED"),
    ],
)
def test_the_clients_signature_is_taken_off(query: str, left: str) -> None:
    assert sign(sigv4(), request(f"GET /?{query}")).query == left


def test_what_is_written_is_ours_alone() -> None:
    given = [
        ("Authorization", dummy(covered="host;range;accept-encoding;x-gone")),
        ("X-Amz-Date", "20200101T000000Z"),
        ("X-Amz-Security-Token", "mine"),
        ("X-Amz-S3session-Token", "mine"),
        ("x-amz-region-set", "*"),
        ("Range", "bytes=0-1"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "x"),
        ("X-Amz-Meta-Unsigned", "y"),
    ]
    signed = sign(sigv4(), request("GET /", *given))
    assert [name for name, _ in signed.fields] == [
        *("Range", "Accept-Encoding", "User-Agent", "X-Amz-Meta-Unsigned", "x-amz-content-sha256", "x-amz-date"),
        "authorization",
    ]
    covered = "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-meta-unsigned,"
    assert covered in field(signed, "authorization")


@pytest.mark.parametrize(
    ("settings", "fields", "host", "scope"),
    [
        ({}, (), "s3.eu-west-1.amazonaws.com", "eu-west-1/s3"),
        ({}, (("authorization", dummy("ap-south-1", "sqs")),), "s3.eu-west-1.amazonaws.com", "ap-south-1/sqs"),
        ({"service": "s3"}, (("authorization", dummy("auto", "x")),), "minio.corp.example", "auto/s3"),
        ({"region": "eu-west-2"}, (("authorization", dummy("auto", "x")),), "minio.corp.example:9000", "eu-west-2/x"),
    ],
)
def test_service_and_region(
    settings: dict[str, str], fields: tuple[tuple[str, str], ...], host: str, scope: str
) -> None:
    signed = sign(sigv4(**settings), request("GET /", *fields, host=host))
    assert f"/20130524/{scope}/aws4_request," in field(signed, "authorization")


def test_nobody_knows_the_service() -> None:
    for known, missing in (({}, "service"), ({"service": "s3"}, "region")):
        with pytest.raises(ClientError, match=missing) as caught:
            sigv4(**known).read(request("GET /", host="minio.corp.example"))
        assert f"{missing}: NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("s3.amazonaws.com", ("s3", "us-east-1")),
        ("b.c.s3.eu-central-1.amazonaws.com", ("s3", "eu-central-1")),
        ("bucket.s3.dualstack.us-west-2.amazonaws.com", ("s3", "us-west-2")),
        ("s3-eu-west-1.amazonaws.com", ("s3", "eu-west-1")),
        ("bucket.s3-fips.us-gov-west-1.amazonaws.com", ("s3", "us-gov-west-1")),
        ("123456789012.s3-control.eu-west-1.amazonaws.com", ("s3", "eu-west-1")),
        ("sqs.cn-north-1.amazonaws.com.cn", ("sqs", "cn-north-1")),
        ("eu-central-1.queue.amazonaws.com", ("sqs", "eu-central-1")),
        ("sts.amazonaws.com", ("sts", "us-east-1")),
        ("iam.amazonaws.com", ("iam", "us-east-1")),
        ("bedrock-runtime.eu-central-1.amazonaws.com", ("bedrock", "eu-central-1")),
        ("bedrock-runtime-fips.us-east-1.amazonaws.com", ("bedrock", "us-east-1")),
        ("streams.dynamodb.eu-west-1.amazonaws.com", ("dynamodb", "eu-west-1")),
        ("runtime.sagemaker.eu-west-1.amazonaws.com", ("sagemaker", "eu-west-1")),
        ("abc123.execute-api.eu-west-1.amazonaws.com", ("execute-api", "eu-west-1")),
        ("abc123.lambda-url.eu-west-1.on.aws", ("lambda", "eu-west-1")),
        ("search-logs-x.eu-west-1.es.amazonaws.com", ("es", "eu-west-1")),
        ("lambda.eu-west-1.api.aws", ("lambda", "eu-west-1")),
        ("eu-west-1.amazonaws.com", None),
        ("amazonaws.com", None),
        ("s3.eu-west-1.amazonaws.com.evil.example", None),
        ("evilamazonaws.com", None),
    ],
)
def test_hosts(host: str, expected: tuple[str, str] | None) -> None:
    assert service_and_region(host) == expected


@pytest.mark.parametrize(
    ("scheme", "service", "fields", "body", "needs"),
    [
        ("https", "s3", (), b"x", False),
        ("http", "s3", (), b"x", True),
        ("http", "s3", (("x-amz-content-sha256", HASH),), b"x", False),
        ("https", "sqs", (), b"x", True),
        ("https", "sqs", (("x-amz-content-sha256", HASH),), b"x", False),
        (
            "https",
            "sqs",
            (("x-amz-content-sha256", HASH), ("content-type", "application/x-www-form-urlencoded")),
            b"x",
            True,
        ),
        ("https", "s3", (("content-type", "application/x-www-form-urlencoded"),), b"x", False),
    ],
)
def test_when_all_of_the_body_is_needed(
    scheme: str, service: str, fields: tuple[tuple[str, str], ...], body: bytes, needs: bool
) -> None:
    unsigned = request("PUT /k", *fields, body=body)._replace(scheme=scheme)
    assert sigv4(service=service, region="eu-central-1").read(unsigned).needs_body is needs


def test_s3_is_told_the_hash_where_nobody_names_it() -> None:
    for scheme, body, payload in (
        ("https", b"x", "UNSIGNED-PAYLOAD"),
        ("http", b"x", hash_of(b"x")),
        ("http", b"", HASH),
    ):
        unsigned = request("PUT /k", body=body)._replace(scheme=scheme)
        assert field(sign(sigv4(), unsigned), "x-amz-content-sha256") == payload
    with pytest.raises(ValueError, match="not enough values"):
        field(sign(sigv4(service="sqs"), request("PUT /k", body=b"x")), "x-amz-content-sha256")


def test_forms_that_are_too_large_to_be_looked_through() -> None:
    kind = ("content-type", "application/x-www-form-urlencoded")
    for size, good in ((form.MAX_FORM, True), (form.MAX_FORM + 1, False)):
        unsigned = request("POST /", kind, body=b"a" * size)
        if good:
            sign(sigv4(service="sqs"), unsigned)
            continue
        with pytest.raises(ClientError, match="form with more than"):
            sign(sigv4(service="sqs"), unsigned)


def test_fields_that_intermediaries_change_are_not_covered() -> None:
    names = ("x-amzn-trace-id", "traceparent", "user-agent", "x-mine")
    credential = "a%2F20130524%2Feu-west-1%2Fs3%2Faws4_request"
    line = f"GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Expires=5"
    line += f"&X-Amz-SignedHeaders={'%3B'.join(('host', *names))}"
    signed = sign(sigv4(), request(line, *((name, "x") for name in names)))
    assert "&X-Amz-SignedHeaders=host%3Bx-mine&" in signed.query


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Expires=1",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=1&X-Amz-Credential=mine",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20130524%2Feu-west-1%2Fs3%2Faws4_request",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20130524%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Expires=604801",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20130524%2F*%2Fs3%2Faws4_request&X-Amz-Expires=1",
    ],
)
def test_presigned_urls_that_are_none(query: str) -> None:
    with pytest.raises(ClientError):
        sigv4().read(request(f"GET /k?{query}"))


def test_values_that_are_no_keys() -> None:
    for name in ("id", "key"):
        unsigned = request("GET /")
        with pytest.raises(SecretUnavailable, match=name) as caught:
            sigv4().read(unsigned).sign(unsigned, VALUES | {name: Secret(name, "schlüssel".encode())})
        assert "schl" not in str(caught.value)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    form = SigV4(Injection("sigv4", ("id", "key"), settings=(("access_key", "id"), ("secret_key", "key"))))
    unsigned = request("GET /")
    with pytest.raises(SecretUnavailable, match="botocore") as caught:
        form.read(unsigned).sign(unsigned, VALUES)
    assert caught.value.hint == "pip install 'outward[aws]'"
