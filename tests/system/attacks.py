"""Attacks on a sandbox, run inside it (and outside, to show that they work where nothing stops them).

Run as a script: ``attacks.py NAME [ARGUMENT…]``. Prints ``OPEN`` when the attack succeeded, ``CLOSED`` and why when not.
Only the standard library, since it runs with whatever Python is inside.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)


def connect(family: str, address: str, *rest: str) -> None:
    """Connects and says something: arguments are the family, the address and the port."""
    kind = getattr(socket, family)
    with socket.socket(kind, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect(address if kind == socket.AF_UNIX else (address, int(rest[0])))


def speak(family: str, address: str, port: str) -> None:
    """Connects and waits for an answer of whoever is there: that a connection was taken says nothing of who took it."""
    with socket.socket(getattr(socket, family), socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect((address, int(port)))
        sock.sendall(b"\x00ping\r\n")
        if not sock.recv(16):
            raise OSError("closed")


def abstract(name: str) -> None:
    connect("AF_UNIX", "\0" + name)


def udp(address: str, port: str) -> None:
    """Sends a datagram and waits for the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(b"ping", (address, int(port)))
        sock.recv(16)


def family(name: str, kind: str = "SOCK_STREAM", protocol: str = "0") -> None:
    socket.socket(getattr(socket, name), getattr(socket, kind), int(protocol)).close()


def netlink(protocol: str) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, int(protocol)).close()


def resolve(name: str) -> None:
    socket.getaddrinfo(name, 443)


def question(server: str, name: str) -> None:
    """Asks a name server, and takes any answer but that there is no such name."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(struct.pack("!6H", 1, 256, 1, 0, 0, 0) + labels + b"\0\0\x10\0\x01", (server, 53))
        if sock.recv(512)[3] & 15:
            raise OSError("no such name")


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        if not file.read(1):
            raise OSError("empty")


def write(path: str) -> None:
    with Path(path).open("ab") as file:
        file.write(b"x")


def rewrite(path: str) -> None:
    """Writes what is there already, so that a success does no harm."""
    with Path(path).open("rb+") as file:
        content = file.read()
        file.seek(0)
        file.write(content)


def create(path: str) -> None:
    with Path(path).open("xb"):
        pass


def grep(reversed_text: str, *roots: str) -> None:
    """Looks for a text in environments, command lines and files. It is given backwards, so as not to find itself."""
    wanted = reversed_text[::-1].encode()
    for process in Path("/proc").glob("[0-9]*"):
        _look(process / "environ", wanted)
        _look(process / "cmdline", wanted)
    for root in roots:
        for directory, _, names in os.walk(root):
            for name in names:
                _look(Path(directory, name), wanted)
    raise OSError("not found")


def _look(path: Path, wanted: bytes) -> None:
    with contextlib.suppress(OSError):
        if path.is_file() and wanted in path.read_bytes():
            print("found in", path)
            print("OPEN")
            raise SystemExit(0)


def call(name: str, *arguments: str) -> None:
    """A system call by its C function, or its number."""
    ctypes.set_errno(0)
    words = [int(argument) for argument in arguments]
    result = libc.syscall(int(name), *words) if name.isdigit() else getattr(libc, name)(*words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, errno.errorcode.get(code, str(code)))


def tiocsti() -> None:
    """Types into the terminal on standard input."""
    fcntl.ioctl(0, termios.TIOCSTI, b"x")


def tioclinux() -> None:
    try:
        fcntl.ioctl(0, 0x541C, struct.pack("b", 6))
    except OSError as error:
        if error.errno in {errno.ENOTTY, errno.EINVAL}:  # it got through to the driver
            return
        raise


@contextlib.contextmanager
def _child() -> Iterator[int]:
    """A process of ours that waits to be killed."""
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)


def ptrace(request: str, pid: str = "") -> None:
    """Takes over a process: the first one of the sandbox, or a child that did not ask for it."""
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    with _child() as child:
        _checked(libc.ptrace(int(request, 0), int(pid) if pid else child, None, None))


def debug() -> None:
    """What a debugger does with a program that it starts."""
    child = os.fork()
    if child == 0:
        _checked(libc.ptrace(0, 0, 0, 0))  # PTRACE_TRACEME
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        raise OSError("it is not traced")


def peek() -> None:
    """Reads another process's memory."""
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    with _child() as child:
        _checked(libc.process_vm_readv(child, vector, 1, vector, 1, 0))


def discipline() -> None:
    """Asks for a line discipline on a terminal of ours."""
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, 0x5423, struct.pack("i", 0))  # TIOCSETD, N_TTY


def machine(code: str) -> None:
    """Runs machine code: what no library would call."""
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex(code))
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    result = ctypes.CFUNCTYPE(ctypes.c_long)(start)()
    if ctypes.c_int(result).value < 0:
        raise OSError(-ctypes.c_int(result).value, "refused")


def _checked(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, errno.errorcode.get(code, str(code)))


def main() -> None:
    """One attack; or, as words of one argument each, several, each in a process of its own and with a line for each."""
    name, *arguments = sys.argv[1:]
    if name == "each":
        for line in arguments:
            subprocess.run([sys.executable, __file__, *line.split()])
        return
    try:
        globals()[name](*arguments)
    except OSError as error:
        print("CLOSED", error)
        return
    print("OPEN")


if __name__ == "__main__":
    main()
