"""The ports of a cage, and what its packet filter is made of, for those who only have to know."""

from __future__ import annotations

from typing import Final

PORT: Final = 3128
"""Where the explicit proxy listens inside the cage, on every loopback address."""
TRANSPARENT_PORT: Final = 3129
"""Where the packet filter brings TCP."""
DNS_PORT: Final = 53
PLAIN_PORTS: Final = (22, 80, 443)
"""Where connections are taken, whatever their address, if there is no packet filter."""
MODULES: Final = "sudo modprobe -a nf_tables nft_chain_nat nft_redir nft_ct nft_reject_ipv4 nft_reject_ipv6"
"""Where the kernel's packet filter is not all there."""
