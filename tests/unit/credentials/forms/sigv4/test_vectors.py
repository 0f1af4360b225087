"""AWS's published examples.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, …/sigv4-query-string-auth.html,
…/sigv4-streaming.html and …/sigv4-streaming-trailers.html
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from outward.core import ClientError
from outward.credentials.forms.signing import Signed
from tests.unit.credentials.forms.sigv4.conftest import dummy, field, request, sign, sigv4

EMPTY = sha256(b"").hexdigest()
WELCOME = b"Welcome to Amazon S3."


@pytest.mark.parametrize(
    ("line", "fields", "body", "signature"),
    [
        (
            "GET /test.txt",
            {"range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT /test%24file.text",
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            WELCOME,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET /?lifecycle", {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET /?max-keys=2&prefix=J", {}, b"", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_in_the_header(line: str, fields: dict[str, str], body: bytes, signature: str) -> None:
    fields |= {"x-amz-content-sha256": sha256(body).hexdigest(), "x-amz-date": "20010101T000000Z"}
    covered = ";".join(sorted({"host", *fields}))
    signed = sign(sigv4(), request(line, *fields.items(), ("authorization", dummy(covered=covered))))
    assert field(signed, "authorization") == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={covered}, Signature={signature}"
    )


def test_in_the_query() -> None:
    credential = "AKIAPLACEHOLDER%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    line = (
        f"GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20010101T000000Z"
        f"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    )
    signed = sign(sigv4(), request(line))
    assert signed == Signed(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        [],
    )


STREAMED = {
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
}


def chunk(data: bytes, signature: str = "0" * 64) -> bytes:
    return b"%x;chunk-signature=%b\r\n%b" % (len(data), signature.encode(), data + b"\r\n" if data else b"")


def streamed(*signatures: str) -> bytes:
    parts = (b"a" * 65536, b"a" * 1024, b"")
    return b"".join(map(chunk, parts, signatures))


TRAILER = b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)


@pytest.mark.parametrize("size", [1, 7, 66, 1000, 70000])
@pytest.mark.parametrize("between", [b"", b"\r\n"])
def test_in_chunks_with_trailers(size: int, between: bytes) -> None:
    fields = {
        **STREAMED,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-trailer": "x-amz-checksum-crc32c",
    }
    covered = ";".join(sorted({"host", "x-amz-date", *fields}))
    unsigned = request(
        "PUT /examplebucket/chunkObject.txt",
        *fields.items(),
        ("authorization", dummy(covered=covered)),
        host="s3.amazonaws.com",
    )
    signed = sign(sigv4(), unsigned)
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    assert field(signed, "authorization").endswith(f"Signature={seed}")
    tail = between + TRAILER + b"x-amz-trailer-signature:%b\r\n\r\n"
    sent = streamed(*["f" * 64] * 3) + tail % (b"f" * 64)
    assert signed.body is not None
    out = b"".join(signed.body.feed(sent[at : at + size]) for at in range(0, len(sent), size))
    out += signed.body.feed(b"", last=True)
    trailer = b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    assert out == streamed(*SIGNATURES) + tail % trailer


def test_in_chunks_without_trailers() -> None:
    """The example's own seed covers `content-length`, which ours never does, so this is about the chain alone."""
    from outward.credentials.forms.sigv4.chunks import Chain, SignedChunks
    from outward.credentials.forms.sigv4.signature import Scope, Signature, library

    found = library()
    assert found is not None
    scope = Scope("20130524T000000Z", "us-east-1", "s3")
    keys = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    unsigned = request("PUT /examplebucket/chunkObject.txt", host="s3.amazonaws.com")
    fields = [
        ("x-amz-date", scope.timestamp),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("content-length", "66824"),
        *STREAMED.items(),
    ]
    made = Signature(found, keys, scope, unsigned, "", fields, presigned=False)
    assert made.text == "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    chunks = SignedChunks(Chain(made.of, scope.timestamp, str(scope), made.text), trailers=False)
    expected = (
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    )
    sent = streamed(*["0" * 64] * 3) + b"\r\n"
    assert chunks.feed(sent, last=True) == streamed(*expected) + b"\r\n"
    assert len(sent) == 66824


def test_another_key_gives_another_signature() -> None:
    unsigned = request("GET /?lifecycle", ("x-amz-content-sha256", EMPTY))
    signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    assert signature in field(sign(sigv4(), unsigned), "authorization")
    assert signature not in field(sign(sigv4(region="eu-central-1"), unsigned), "authorization")
    other = request("GET /?lifecycles", ("x-amz-content-sha256", EMPTY))
    assert signature not in field(sign(sigv4(), other), "authorization")
    with pytest.raises(ClientError):
        sign(sigv4(), request("GET /", ("x-amz-content-sha256", EMPTY[1:])))
