"""PostgreSQL and Valkey from wheels, and `chronos up`, which runs everything on one machine."""
