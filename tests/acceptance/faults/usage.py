"""What the processes of a stage use: memory, file descriptors, connections to PostgreSQL."""

from collections import defaultdict

import psutil
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from acceptance.faults.stage import Stage


def usage_of(stage: Stage) -> str:
    """Return a line of figures, summed up by kind of process."""
    memory: dict[str, int] = defaultdict(int)
    files: dict[str, int] = defaultdict(int)
    for member in stage.fleet.members:
        try:
            process = psutil.Process(member.process.pid)
            for each in [process, *process.children(recursive=True)]:
                memory[member.kind] += each.memory_info().rss
                files[member.kind] += each.num_fds()
        except psutil.NoSuchProcess:
            continue
    figures = [f"{kind}: {memory[kind] >> 20} MiB, {files[kind]} files" for kind in sorted(memory)]
    return "; ".join([*figures, f"connections: {_connections(stage)}"])


def _connections(stage: Stage) -> int | None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'chronos-%'"
    try:
        with stage.engine.connect() as connection:
            return int(connection.execute(text(query)).scalar_one())
    except DBAPIError:
        return None
