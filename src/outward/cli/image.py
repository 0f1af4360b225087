"""``outward image``: what containers and virtual machines bring, made without a registry."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from outward.backends.containers.image import ENGINES, build
from outward.backends.microvm import image as machine_image
from outward.cli.declaring import Group
from outward.cli.home import state_directory
from outward.cli.saying import say
from outward.isolation import firecracker


@click.group("image", cls=Group)
def command() -> None:
    """Images for --backend docker, podman, gvisor and microvm (without one, they show this machine's programs), the kernel of
    --backend microvm, and a configuration for Firecracker."""


@command.command("build")
@click.option(
    "--engine", type=click.Choice(ENGINES), default="docker", help="The backend that it is for; docker otherwise."
)
@click.option("--package", "packages", metavar="NAME", multiple=True, help="One more package; may be repeated.")
def build_(engine: str, packages: tuple[str, ...]) -> int:
    """Build the image `outward:latest` from this machine's package sources (Debian, Ubuntu).

    Takes a minute or two; the result is kept below the state directory, and taken from there when nothing has changed.

    \b
      outward image build --engine podman --package golang
      outward run --backend podman --image outward:latest -- go test ./...
    """
    name = build(engine, packages, state_directory() / "images", os.environ, _watch)
    click.echo(f"{name} is there: outward run --backend {engine} --image {name} -- CMD")
    return 0


@command.command("kernel")
def kernel() -> int:
    """Make the kernel of the backend microvm.

    Fetches the distribution's generic kernel and busybox (Debian) from where this machine's packages come from, without
    installing them, and keeps what a machine starts with in the state directory. Do it again after a kernel's security update.
    """
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    made = machine_image.build(state_directory(), proxies, _watch)
    click.echo(made.kernel)
    click.echo(made.initrd)
    return 0


@command.command("firecracker-config")
@click.option(
    "--kernel", "kernel_file", type=click.Path(path_type=Path), required=True, help="The kernel, an ELF file."
)
@click.option(
    "--rootfs", type=click.Path(path_type=Path), required=True, help="The image of the root file system; read-only."
)
@click.option("--memory", type=click.IntRange(min=64), default=1024, show_default=True, help="MiB of memory.")
@click.option("--cpus", type=click.IntRange(1, 32), default=2, show_default=True, help="Processors.")
@click.option("--socket", type=click.Path(path_type=Path), required=True, help="The unix socket to make for vsock.")
def firecracker_config(kernel_file: Path, rootfs: Path, memory: int, cpus: int, socket: Path) -> int:
    """Print a configuration for Firecracker (--config-file) without a network: the gateway is reached by vsock alone.

    \b
      outward image firecracker-config --kernel vmlinux --rootfs root.ext4 --socket /run/vm/v.sock >vm.json
      outward serve --listen unix:/run/vm/v.sock_3128
      firecracker --no-api --config-file vm.json
    """
    machine = firecracker.Machine(kernel_file, rootfs, memory, cpus, socket)
    click.echo(json.dumps(firecracker.configuration(machine), indent=2))
    return 0


def _watch(line: str) -> None:
    if sys.stderr.isatty():
        say(line)
