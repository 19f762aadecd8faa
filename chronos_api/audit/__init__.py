"""The audit log: its entries, and the list of them."""
