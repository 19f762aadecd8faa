"""The rules of scheduling as plain Python: no database, no network, no clock."""
