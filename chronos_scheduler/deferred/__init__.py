"""Wishes of users for later: ends of pauses, and replays."""
