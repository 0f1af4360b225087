"""HTTP/2 (RFC 9113). The library ``h2`` keeps the state of connections and streams; what it does not bound is bounded here.

* *frames* cuts what arrives into whole frames and stops floods before the library sees them.
* *heads* turns field lists into the heads that everything else works with, through HTTP/1.1's own parser.
* A *connection* has a *stream* for every request; to its exchange a stream is one of the two sides
  (:mod:`outward.gateway.streams`), like a connection of HTTP/1.1.
"""
