"""Child processes of ``chronos up``, and what they leave behind."""
