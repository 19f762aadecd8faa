"""Benchmarks of Chronos: how many jobs it starts, how exactly, and at what cost.

``python -m benchmarks --help`` explains how to run them, docs/performance.md how to read them.
They start Chronos as its users do and measure it from outside: by the requests at the target, the
rows in PostgreSQL, and the operating system's figures of the processes. Linux only.
"""
