"""What it costs to look for a credential in an answer: ``python -m bench.redact``.

Megabytes a second on one core, in pieces as large as one read of a connection, with one secret bound that does not occur.
"""

from __future__ import annotations

import json
import time
from typing import Final

from outward.credentials.scrub import Scrubber

PIECE: Final = 64 * 1024
LASTS: Final = 0.5

_SENTENCE: Final = (
    "the quick brown fox asks api.example.com for a token, is told that 100 such keys do not exist: sk-ant. "
)
_PROSE: Final = _SENTENCE * 1_000


ANSWERS: Final = {
    "prose": _PROSE,
    "JSON with line ends and quotes": json.dumps(
        [{"text": f'{word} "said"\n', "n": i} for i, word in enumerate(_PROSE.split())]
    ),
    "JSON in which everything is escaped": json.dumps("äöü" + _PROSE.replace("e", "é")),
    "links full of percent signs": _PROSE.replace(" ", "%20"),
    "octets of every value": bytes(range(256)).decode("latin-1") * 400,
}


def rate(scrubber: Scrubber, text: str) -> float:
    """Octets a second."""
    data = text.encode("latin-1", "replace")[:PIECE].ljust(PIECE, b".")
    stream, passed, start = scrubber.stream(), 0, time.process_time()
    while time.process_time() - start < LASTS:
        for _ in range(16):
            stream.feed(data)
        passed += 16 * PIECE
    return passed / (time.process_time() - start)


def main() -> None:
    """Prints a line for each kind of answer."""
    scrubber = Scrubber([(b"sk-ant-test-REAL-0123456789abcdef0123456789abcdef", b"sk-ant-test-FAKE-0000")])
    for name, text in ANSWERS.items():
        print(f"{name:40} {rate(scrubber, text) / 1e6:8.0f} MB/s")


if __name__ == "__main__":
    main()
