"""What Chronos is compared with: programs as teams write them, on the same servers and target."""
