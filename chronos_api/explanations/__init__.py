"""Why an occurrence of a job did or did not run."""
