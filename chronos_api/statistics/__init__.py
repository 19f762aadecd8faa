"""Figures of a workspace and of a job, and the runs to come."""
