"""Who may call: authentication, access, rate limits."""
