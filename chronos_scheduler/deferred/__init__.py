"""Work that users asked for at a later time: ends of pauses, and replays at a rate."""
