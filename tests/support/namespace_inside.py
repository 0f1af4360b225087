"""Runs inside a namespace of :mod:`tests.support.namespace`: makes sockets there and hands them out.

Stands alone, for the interpreter may be any. Reads one JSON object a message from the socket whose number is given, answers
with ``ok`` and a socket, or with what went wrong.
"""

import json
import socket
import sys


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(b"ready")
    while message := control.recv(4096):
        asked = json.loads(message)
        sock = socket.socket(socket.AF_INET6 if ":" in asked["host"] else socket.AF_INET)
        try:
            if asked["do"] == "listen":
                if sock.family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((asked["host"], asked["port"]))
                sock.listen(128)
            else:
                sock.settimeout(10)
                sock.connect((asked["host"], asked["port"]))
        except OSError as error:
            control.send(str(error).encode())
        else:
            socket.send_fds(control, [b"ok"], [sock.fileno()])
        sock.close()


main()
