"""Variables and files for clients."""

from __future__ import annotations

from outward.pki import proxy_variables, trust_file_variables, trust_files, trust_variables


def test_replacing_variables_get_the_bundle_and_adding_ones_get_ours() -> None:
    variables = trust_variables("/etc/outward/bundle.pem", "/etc/outward/ca.pem")
    assert variables["SSL_CERT_FILE"] == variables["npm_config_cafile"] == "/etc/outward/bundle.pem"
    assert {name for name, value in variables.items() if value == "/etc/outward/ca.pem"} == {
        "NODE_EXTRA_CA_CERTS",
        "DENO_CERT",
    }


def test_proxy_variables_come_in_both_spellings() -> None:
    variables = proxy_variables("http://127.0.0.1:8080", no_proxy=("localhost", ".internal.example"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        assert variables[name] == variables[name.upper()] == "http://127.0.0.1:8080"
    assert variables["no_proxy"] == variables["NO_PROXY"] == "localhost,.internal.example"
    assert variables["NODE_USE_ENV_PROXY"] == "1"


def test_nothing_bypasses_the_proxy_unless_asked() -> None:
    assert proxy_variables("http://p.example:1", no_proxy=())["NO_PROXY"] == ""
    assert proxy_variables("http://p.example:1")["NO_PROXY"] == "localhost,127.0.0.1,::1"


def test_each_file_has_its_variable() -> None:
    files = trust_files("/etc/outward/bundle.pem")
    pointers = trust_file_variables("/etc/outward")
    assert {value.removeprefix("/etc/outward/") for value in pointers.values()} == set(files)
    assert all("/etc/outward/bundle.pem" in text for text in files.values())
