"""The state of an installation in plain words, with a remedy for each problem."""
