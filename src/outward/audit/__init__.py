"""The journal: what happened, in a form that shows when it was changed.

* A *record* is one JSON line: an :class:`~outward.core.Event` with sequence number, time, session, and two hashes.
* The *chain*: each record holds the hash of the one before it, so none can be changed, removed, added or moved unseen.
  (Cutting off the end, or rewriting everything, cannot be seen from the file alone; note down the last hash elsewhere.)
* A *session* writes ``<session>.jsonl``, then ``<session>.1.jsonl`` and so on as files fill up; the chain runs through.
* Several processes of one session write a chain each, ``<session>-w1``, ``<session>-w2`` and so on; read as one, by time.
* The :class:`Journal` writes, ``audit.verify`` checks the chain, ``audit.reading`` reads for people.

``docs/audit.md`` specifies the format; ``format`` is the only module that writing and reading share.
"""

from outward.audit.format import new_session, worker_session
from outward.audit.journal import Batch, Journal

__all__ = ["Batch", "Journal", "new_session", "worker_session"]
