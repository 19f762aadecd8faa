"""Channels: the ways to reach people, one module each (see ``chronos_worker.delivery``)."""
