"""Jobs as code: a file describes the jobs of a scope, and an apply makes them so."""
