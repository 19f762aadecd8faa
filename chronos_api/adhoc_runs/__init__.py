"""Test runs: a payload is tried out once, without a job."""
