"""The connection to PostgreSQL: engine, adapters, time limits."""
