"""A soak: mixed traffic through one gateway for minutes, while its memory and descriptors are watched.

``python -m bench.soak --minutes 10``. Bounded in rate, so that it shows leaks rather than speed.
"""
