"""Where secret values come from, and how they get into a request.

* A *source* fetches a value outside the sandbox (:mod:`outward.credentials.sources`, one module a source).
* The *store* caches what the sources gave, fetches once however many requests wait, and knows every placeholder.
* A *form* puts a value into a request (:mod:`outward.credentials.forms`, one module a form).
* An *injector* (:mod:`.injector`) is the forms of one destination, compiled: what is removed from the client's header,
  and what is added.
* A *scrubber* (:mod:`.scrub`) replaces the values of one destination by their placeholders in what comes back.
"""

from outward.credentials.store import CredentialStore

__all__ = ["CredentialStore"]
