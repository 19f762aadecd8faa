"""What an attempt does: one module per type of job."""
