"""Benchmarks of Chronos: how many jobs it starts, how exactly, and at what cost.

``python -m benchmarks --help`` tells how to run them, docs/performance.md how to read them. They
start Chronos as its users do and look at it from outside: at what reaches the target, at the rows
in PostgreSQL, and at what the operating system says of the processes. Linux only.
"""
