"""HTTP/2 as real clients speak it: curl, Node, gRPC."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.conftest import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
POLICY = """
secrets:
  key: {{env: KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["GET,POST /v1/**"]
    inject: [{{header: x-api-key, secret: key}}]
"""


@pytest.fixture
def api(upstream: Callable[..., Upstream]) -> Upstream:
    return upstream("api.test")


@pytest.fixture
def gateway(serve: Callable[..., Serve], api: Upstream) -> Serve:
    return serve(POLICY.format(port=api.port), env={"KEY": KEY})


def curl(gateway: Serve, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = ["curl", "-sS", "--proxy", f"http://{gateway.address}", "--cacert", gateway.ca, *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60)


@pytest.mark.needs("curl")
def test_curl_offers_both_and_gets_http1(gateway: Serve, api: Upstream) -> None:
    done = curl(gateway, "--http2", "-w", "%{http_version}", "-o", "/dev/null", "https://api.test/v1/x")
    assert (done.stdout, done.returncode) == ("1.1", 0), done.stderr
    assert [seen["x-api-key"] for seen in api.seen] == [KEY]


@pytest.mark.needs("curl")
def test_curl_in_the_clear_is_refused(gateway: Serve, api: Upstream) -> None:
    assert curl(gateway, "--http2-prior-knowledge", "--proxytunnel", "http://api.test:443/v1/x").returncode != 0
    assert api.seen == []


# What needs HTTP/2 and offers nothing else. Two requests at once on one connection, one of them with a body.
NODE = """
const [, proxy, ca, path] = process.argv
const http = require('http'), http2 = require('http2'), tls = require('tls'), fs = require('fs')
const [host, port] = proxy.split(':')
const headers = {host: 'api.test:443'}
http.request({host, port, headers, method: 'CONNECT', path: 'api.test:443'}).on('connect', (_, socket) => {
  const secure = tls.connect({socket, servername: 'api.test', ca: fs.readFileSync(ca), ALPNProtocols: ['h2']}, () => {
    const session = http2.connect('https://api.test', {createConnection: () => secure})
    const ask = (headers, body) => new Promise((done, failed) => {
      const stream = session.request(headers)
      let status, text = ''
      stream.setEncoding('utf8')
      stream.on('response', answered => { status = answered[':status'] })
      stream.on('data', data => { text += data })
      stream.on('end', () => done([status, text]))
      stream.on('error', failed)
      stream.end(body)
    })
    Promise.all([ask({':path': path}), ask({':path': path, ':method': 'POST'}, 'x'.repeat(200000))])
      .then(answers => { console.log(JSON.stringify(answers)); session.close() })
  })
}).end()
"""


def node(gateway: Serve, path: str) -> Any:
    line = [str(CLIENTS / "node"), "-e", NODE, gateway.address, gateway.ca, path]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.needs("node24")
def test_node_with_http2_alone(gateway: Serve, api: Upstream) -> None:
    (got, got_text), (posted, posted_text) = node(gateway, "/v1/x")
    assert (got, posted) == (200, 200)
    assert json.loads(got_text)["method"] == "GET"
    assert len(json.loads(posted_text)["body"]) == 200_000
    assert [seen["x-api-key"] for seen in api.seen] == [KEY, KEY]


@pytest.mark.needs("node24")
def test_node_is_told_what_it_may_not(gateway: Serve, api: Upstream) -> None:
    for status, text in node(gateway, "/v2/x"):
        assert status == 403
        assert json.loads(text)["error"]["code"] == "path_not_allowed"
    assert api.seen == []


@pytest.mark.parametrize("shape", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
def test_grpc_shows_its_user_why(gateway: Serve, api: Upstream, shape: str) -> None:
    trust = grpc.ssl_channel_credentials(Path(gateway.ca).read_bytes())
    options = [("grpc.http_proxy", f"http://{gateway.address}")]
    with grpc.secure_channel("api.test:443", trust, options=options) as channel:
        call = getattr(channel, shape)("/package.Service/Method")
        asked = iter([b"a", b"b"]) if shape.startswith("stream") else b"a"
        with pytest.raises(grpc.RpcError) as caught:
            list(call(asked, timeout=20))
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "POST api.test/package.Service/Method is not allowed by the policy." in error.details()
    assert "outward policy allow 'POST api.test/package.Service/Method'" in error.details(), "the way out"
    assert api.seen == []
