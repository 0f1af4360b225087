"""What a release compiles. That it does the same is tested by ``make test-native``."""

from __future__ import annotations

import ast
from pathlib import Path

from click.testing import CliRunner

from outward import __version__, native
from outward.cli.verbs import cli

SOURCE = Path(__file__).parents[2] / "src" / "outward"


def classes(module: Path) -> dict[str, set[str]]:
    """The names of what each class of a module inherits from."""
    found = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ClassDef)]
    return {
        node.name: {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases} for node in found
    }


def test_nothing_interpreted_inherits_from_what_is_compiled() -> None:
    """mypyc allows it as long as no instance is made."""
    compiled = {SOURCE / f"{name.replace('.', '/')}.py" for name in native.MODULES}
    # Named tuples and protocols stay ordinary classes.
    ordinary = {"NamedTuple", "Protocol"}
    names = {name for module in compiled for name, bases in classes(module).items() if not bases & ordinary}
    assert "Exchange" in names
    for module in set(SOURCE.rglob("*.py")) - compiled:
        for name, bases in classes(module).items():
            assert not bases & names, f"{module}: {name} would have to be compiled too"


def test_nothing_is_awaited_while_an_exception_is_handled() -> None:
    """What mypyc makes of it leaves the exception behind as the one that is being handled, for whatever runs meanwhile. It
    becomes the context of the next one, and so on: a chain that grows with every connection, and is walked at every raise."""
    for name in native.MODULES:
        tree = ast.parse((SOURCE / f"{name.replace('.', '/')}.py").read_text())
        for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
            awaited = [
                node.lineno for node in ast.walk(handler) if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom)
            ]
            assert not awaited, f"{name}:{awaited[0]}: leave the handler first"


def test_an_installation_knows_what_it_is(tmp_path: Path) -> None:
    names = [name.replace(".", "/") for name in native.MODULES]
    assert native.kind(tmp_path) == "interpreted"
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.cpython-311-x86_64-linux-gnu.so").touch()
    assert native.kind(tmp_path) == "native"
    (tmp_path / f"{names[0]}.cpython-311-x86_64-linux-gnu.so").unlink()
    assert native.kind(tmp_path) == "damaged"


def test_the_version_tells() -> None:
    shown = CliRunner().invoke(cli, ["--version"])
    assert shown.output == f"outward {__version__} ({native.kind()})\n"
