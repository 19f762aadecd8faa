"""The page about the installation."""

from werkzeug.wrappers import Response as AnyResponse

from chronos_api.operations import readiness
from chronos_api.security.access import Role, Scope, requires
from chronos_api.ui.blueprint import blueprint, show
from chronos_common import __version__


@blueprint.get("/system")
@requires(Role.VIEWER, Scope.STATS_READ)
def system() -> AnyResponse:
    """Show whether this installation does its work."""
    return show("system.html", state=readiness.check_installation(), version=__version__)
