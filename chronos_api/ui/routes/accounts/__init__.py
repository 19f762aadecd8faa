"""The pages of an account, and those that lead into one."""
