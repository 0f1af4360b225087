"""The local store: secrets that ``outward secret`` keeps on this machine, and what Outward itself has to remember.

* A *home* is where a value is kept: the *system keyring* (:mod:`.system`, the Secret Service), else the *encrypted file*
  (:mod:`.encrypted`). Each name has one home.
* The encrypted file is :mod:`.sealed`: one message under one key, so that nothing in it can be changed, removed or swapped.
* What opens it, a passphrase or a key file, is found and turned into the key by :mod:`.unlocking`, once in a process.
* The *store* (:mod:`.store`) is both homes as one: get, put, delete, list.

Names of secrets have no slash; what Outward keeps for itself has one (``captured/claude/refresh_token``), so that they never
meet.
"""
