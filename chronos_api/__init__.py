"""The REST API: it writes jobs to PostgreSQL and reads history. It runs nothing itself."""
