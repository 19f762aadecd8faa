"""A running server that the tests of one group share."""

from collections.abc import Iterator

import pytest

from chronos_common.embedded.processes import ports
from chronos_common.embedded.servers.servers import Servers
from integration.api.api_process import Server, serving


@pytest.fixture(scope="session")
def server(
    api_database_url: str, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("api")
    port = {"CHRONOS_METRICS_PORT": str(ports.free())}
    with serving(api_database_url, servers.redis_url, folder, **port) as running:
        yield running
