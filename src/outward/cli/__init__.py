"""The command line: one module a verb. Alone prints, exits and reads the environment."""

from outward.cli.main import main

__all__ = ["main"]
