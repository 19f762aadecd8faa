"""The demo: sample jobs, and a target that echoes."""
