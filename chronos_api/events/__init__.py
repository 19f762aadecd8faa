"""Live events, streamed to clients as server-sent events."""
