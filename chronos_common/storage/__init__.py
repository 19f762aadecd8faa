"""Every SQL statement of Chronos, one module per table it owns."""
