"""What confines the processes of a sandbox.

A *launch* is a command with the ordered *operations* that build its file system, its environment and its directory; a
*profile* of system calls is a *seccomp* filter for bubblewrap and a file for containers. Who puts them together is a backend
(:mod:`outward.backends`). What the workspace and the tool
chains look like inside is not decided here (:mod:`outward.workspace`), nor is the network (:mod:`outward.cage`).
"""
