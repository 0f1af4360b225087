"""Our own certificate authority, and what makes each client trust it.

* The *Authority* signs a *leaf* certificate for every host that the gateway answers for. Its key lives in the state
  directory, mode 0600, and is never in view of a sandbox.
* A leaf is short-lived, made when a host is first asked for, and kept in memory together with its key.
* The *bundle* is one file with the system's roots and our certificate: most clients take a file that replaces their roots.
* The *trust variables* tell each client where the bundle is; the *proxy variables* tell it where the gateway is. A few
  clients read a file instead: the *trust files*.
"""

from outward.pki.authority import Authority
from outward.pki.trust import proxy_variables, trust_file_variables, trust_files, trust_variables

__all__ = ["Authority", "proxy_variables", "trust_file_variables", "trust_files", "trust_variables"]
