"""``chronos jobs``."""
