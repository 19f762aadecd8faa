"""Actions: how an attempt of each type of job is made, one module per type."""
