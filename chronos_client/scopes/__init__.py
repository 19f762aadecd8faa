"""Jobs as code: files that describe the jobs of a scope, their schema, and exports."""
