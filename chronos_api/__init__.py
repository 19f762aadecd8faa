"""The REST API: it writes jobs to PostgreSQL and reads history; it runs nothing itself."""
