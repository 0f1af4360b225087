"""The same work through Outward and through its peers, side by side on this machine: ``python -m bench --help``.

* The *upstream* is what is being fetched: a server with a certificate of its own that answers only to the real key.
* A *contender* is a way to it: straight, or through a proxy that ends TLS, decides by path, puts the key in and logs.
* A *trial* is one run of the load generator (``load.c``) through one contender in one *mode*.
* A *part* of the suite compares contenders in one respect. Its trials are interleaved over several rounds; the *report* has
  medians, a *plot* shows growth, and the whole goes into ``docs/performance.md``.
"""
