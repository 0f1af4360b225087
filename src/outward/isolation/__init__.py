"""What confines the processes of a sandbox.

A *launch* is a command with the ordered *operations* that build its file system, its environment and its directory. The
*bubblewrap* backend turns it into namespaces, no capabilities, and a *seccomp* filter. What the workspace and the tool
chains look like inside is not decided here (:mod:`outward.workspace`), nor is the network (:mod:`outward.cage`).
"""
