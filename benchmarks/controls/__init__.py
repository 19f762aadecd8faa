"""Programs to compare Chronos with, as teams write them, on the same servers and target."""
