"""Containers: docker and podman, by their command lines.

An *engine* is the installed client. The *tree* is an almost empty root directory with nothing in it but places to mount at and
links; the host's own programs are mounted on it, read-only, as in bubblewrap. An *image* takes its place with ``--image``.
The *line* is what every container is confined with. *Contents* are files of ours on the host, named by their hash, since a
container can only be given files by their paths.

Whatever becomes of us, a *reaper* removes the containers: a process of its own, which waits for our end.
"""
