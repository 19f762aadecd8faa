"""The frame of every process: start, loops, heartbeat, health."""
