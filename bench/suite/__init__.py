"""The parts of the benchmark, one module each. A part measures, and gives a table (or pictures) with its raw results.

Each part bounds its own time, interleaves what it compares, checks what it measures, and leaves out what failed.
"""
