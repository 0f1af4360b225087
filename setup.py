"""Compiles the path of a request where that is asked for (`make wheel`). All else stands in pyproject.toml."""

import os
import sys
from pathlib import Path

from setuptools import setup

extensions = []
if os.environ.get("OUTWARD_COMPILE") == "1":
    from mypyc.build import mypycify

    sys.path.insert(0, str(Path(__file__).parent / "src"))
    from outward.native import MODULES

    files = [f"src/outward/{name.replace('.', '/')}.py" for name in MODULES]
    extensions = mypycify(files, opt_level="3", debug_level="0", group_name="outward", target_dir="build/mypyc")

setup(ext_modules=extensions)
