"""What looks for secrets in other tests finds them."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from tests.support.codings import ENCODERS
from tests.support.search import files_with, found, needles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUE = 'sk-REAL/0123+abc="def ghi&9\\'
SIMPLE: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "url": lambda data: quote(data, safe="").encode(),
    "form": lambda data: quote_plus(data).encode(),
    "json": lambda data: json.dumps(data.decode()).encode(),
    "html": lambda data: html.escape(data.decode()).encode(),
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "base64": b64encode,
    "base64url": urlsafe_b64encode,
}
FORMS = SIMPLE | ENCODERS


@pytest.mark.parametrize("outer", FORMS)
@pytest.mark.parametrize("inner", SIMPLE)
def test_every_form_in_every_other(inner: str, outer: str) -> None:
    for before in (b"", b"x", b"xy"):
        assert found(VALUE, FORMS[outer](b"<" + FORMS[inner](before + VALUE.encode() + b"..") + b">")), before
        assert not found(VALUE, FORMS[outer](b"<" + FORMS[inner](before + VALUE[::-1].encode()) + b">"))


@pytest.mark.parametrize("form", [form for form in SIMPLE if form not in {"json", "html"}])
def test_files_are_searched(form: str, tmp_path: Path) -> None:
    key = "sk-ant-test-REAL-0123456789abcdefghij"
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "b"
    for before in (b"", b"x", b"xy"):
        file.write_bytes(bytes(1000) + SIMPLE[form](before + key.encode()) + bytes(1000))
        ((hit, needle),) = set(files_with(key, [tmp_path])[:1])
        assert hit == file
        assert needle in set(needles(key))
    file.write_bytes(SIMPLE[form](key[::-1].encode()))
    assert files_with(key, [tmp_path]) == []
