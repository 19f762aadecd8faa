"""The requests of other Chronos schedulers, as a thin translation onto the services of this one.

``docs/compatibility.md`` maps each request to its route, and tells how conflicts are resolved.
"""

from chronos_api.compat import routes, simple_jobs

BLUEPRINTS = (routes.blueprint, simple_jobs.blueprint)
