"""The real curl's opinion about NO_PROXY."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from tests.unit.core.test_proxy import NO_PROXY

DIFFERENT = {
    # Blanks around the star, which curl takes for a name, and instead of commas, which newer versions do not take; IPv6, which
    # 7.88 compares as text whatever its manual says.
    (" * ", "10.1.2.3"),
    ("b.example a.example", "a.example"),
    ("b.example\ta.example", "a.example"),
    ("0:0::1", "::1"),
    ("fd00::/16", "fd00::1"),
}


@pytest.mark.needs("curl")
def test_curl_agrees_about_every_line() -> None:
    """Nobody listens at either place: curl says which one it tried."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        proxy, server = one.getsockname()[1], two.getsockname()[1]
    for no_proxy, host, expected in NO_PROXY:
        if (no_proxy, host) in DIFFERENT:
            continue
        place = f"[{host}]" if ":" in host else host
        environment = {"PATH": os.environ["PATH"], "https_proxy": f"http://127.0.0.1:{proxy}", "NO_PROXY": no_proxy}
        # --connect-to is for where the server is taken to be; it says nothing about the way there.
        words = ("curl", "-sv", "--max-time", "5", "--connect-to", f"::127.0.0.1:{server}", f"https://{place}/")
        said = subprocess.run(words, env=environment, capture_output=True, text=True).stderr
        assert (f"Trying 127.0.0.1:{server}" in said) is expected, (no_proxy, host, said)
        assert (f"Trying 127.0.0.1:{proxy}" in said) is not expected, (no_proxy, host, said)
