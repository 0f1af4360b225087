"""The gateway is loaded module by module, for as long as there is somebody to be served."""

from __future__ import annotations

import importlib
import sys

import pytest

from outward.session import loading


class Command:
    """Is over after so many looks."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    @property
    def over(self) -> bool:
        self._left -= 1
        return self._left < 0


MODULES = {
    "outward_test_first": "import outward_test_second",
    "outward_test_second": "try:\n    import outward_test_third\nexcept Exception:\n    outward_test_third = None",
    "outward_test_third": "",
}


@pytest.fixture(autouse=True)
def gateway(tmp_path, monkeypatch):
    """Three modules in place of the gateway's, each of which needs the next."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loading, "import_module", lambda _: importlib.import_module("outward_test_first"))
    finders = [*sys.meta_path]
    yield
    assert sys.meta_path == finders
    for name in MODULES:
        sys.modules.pop(name, None)


def loaded() -> set[str]:
    return MODULES.keys() & sys.modules.keys()


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_what_is_over_does_not_wait_for_the_rest(looks):
    assert not loading.load_gateway(Command(looks))
    assert loaded() == set()  # Python forgets those that could not be finished


def test_what_goes_on_gets_all_of_it():
    assert loading.load_gateway(Command(len(MODULES)))
    assert loaded() == set(MODULES)


def test_a_module_that_is_missing_is_an_error(tmp_path):
    (tmp_path / "outward_test_second.py").write_text("import outward_test_none")
    with pytest.raises(ModuleNotFoundError):
        loading.load_gateway(Command(1000))
