"""PostgreSQL and Valkey as children of ``chronos up``."""
