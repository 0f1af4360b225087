"""The format of the encrypted file: whatever is done to it is noticed, and it says nothing that it should not."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.credentials.local.sealed import Damaged, Key, Opening, Public, WrongKey, new_opening, parse, seal, unseal

VALUES = {"github": b"ghp_test_0123456789", "other": b"glpat-test-9876543210"}
MOMENT = "2026-11-21T10:00:00Z"
OPENING, KEY = new_opening("/key").new_key(b"k" * 32)
SEALED = seal(Public(OPENING, dict.fromkeys(VALUES, MOMENT)), VALUES, KEY)


def edited(change: Any) -> bytes:
    """The file with its first line changed by somebody who has no key."""
    first, second, _ = SEALED.split(b"\n")
    document = json.loads(first)
    change(document)
    return json.dumps(document).encode() + b"\n" + second + b"\n"


def test_what_was_put_in_comes_out() -> None:
    assert unseal(SEALED, KEY) == VALUES
    assert dict(parse(SEALED).entries) == dict.fromkeys(VALUES, MOMENT)


def test_it_is_another_one_each_time() -> None:
    again = seal(Public(OPENING, dict.fromkeys(VALUES, MOMENT)), VALUES, KEY)
    assert again.split(b"\n")[0] == SEALED.split(b"\n")[0]
    assert again.split(b"\n")[1][:16] != SEALED.split(b"\n")[1][:16], "the nonce is new"


def test_no_value_shows() -> None:
    opaque = base64.b64decode(SEALED.split(b"\n")[1])
    for value in VALUES.values():
        for form in (value, base64.b64encode(value), value.hex().encode()):
            assert form not in SEALED
            assert form not in opaque


@given(st.integers(0, len(SEALED) * 8 - 1))
def test_a_flipped_bit_is_noticed(position: int) -> None:
    flipped = bytearray(SEALED)
    flipped[position // 8] ^= 1 << position % 8
    with pytest.raises((Damaged, WrongKey)):
        unseal(bytes(flipped), KEY)


@given(st.integers(0, len(SEALED) - 1))
def test_what_was_cut_off_is_noticed(length: int) -> None:
    with pytest.raises((Damaged, WrongKey)):
        unseal(SEALED[:length], KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["entries"].update(
            github=document["entries"]["other"], other=document["entries"]["github"] | {"set": "2027-01-01T00:00:00Z"}
        ),
        lambda document: document["entries"].pop("other"),
        lambda document: document["entries"].update(third={"set": MOMENT}),
        lambda document: document["entries"].update(evil=document["entries"].pop("github")),
        lambda document: document["opening"].update(key_file="/another"),
    ],
)
def test_a_changed_first_line_is_noticed(change: Any) -> None:
    assert unseal(edited(lambda _: None), KEY) == VALUES, "the edit itself is not what is noticed"
    with pytest.raises(Damaged):
        unseal(edited(change), KEY)


def test_the_lines_of_two_files_do_not_fit() -> None:
    other = seal(Public(OPENING, {"github": MOMENT}), {"github": b"another value"}, KEY)
    mixed = SEALED.split(b"\n")[0] + b"\n" + other.split(b"\n")[1] + b"\n"
    assert unseal(other, KEY) == {"github": b"another value"}
    with pytest.raises(Damaged):
        unseal(mixed, KEY)


def test_another_key_is_told_from_a_damaged_file() -> None:
    with pytest.raises(WrongKey):
        unseal(SEALED, OPENING.derive(b"K" * 32))


@pytest.mark.parametrize(
    "setting", [{"n": 1 << 10}, {"n": 1 << 30}, {"n": "131072"}, {"r": 1}, {"p": 0}, {"kdf": "md5"}]
)
def test_a_key_that_would_be_cheap_or_never_be_made_is_refused(setting: dict[str, Any]) -> None:
    """Whoever can edit the file could otherwise have the next passphrase kept badly, or our memory filled."""
    sealed = seal(Public(Opening(b"s" * 32, check="00"), {}), {}, KEY)
    assert parse(sealed).opening.cost == 1 << 17
    first, second, _ = sealed.split(b"\n")
    document = json.loads(first)
    document["opening"].update(setting)
    with pytest.raises(Damaged):
        parse(json.dumps(document).encode() + b"\n" + second + b"\n")


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f"{{{text}}}\n\n".encode()))
def test_anything_else_is_damaged(content: bytes) -> None:
    with pytest.raises(Damaged):
        parse(content)


def test_scrypt_from_a_passphrase() -> None:
    opening, key = new_opening().new_key(b"correct horse")
    assert opening.derive(b"correct horse").check == opening.check == key.check
    assert opening.derive(b"correct horsf").check != opening.check


def test_a_key_shows_nothing() -> None:
    key = Key(b"\x01" * 32 + b"\x02" * 32)
    assert repr(key) == str(key) == f"{key}" == "<key>"
    assert key.check == "02" * 32
    for refuse in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            refuse(key)
