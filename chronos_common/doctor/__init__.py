"""What state an installation is in, in plain words, and what to do about it."""
