"""The audit log: its entries and how they are listed."""
