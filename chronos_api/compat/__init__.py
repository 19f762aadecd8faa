"""The requests of other Chronos schedulers, as a thin translation onto the services of this one.

``docs/compatibility.md`` maps each request to its route, and explains how conflicts are resolved.
"""

from chronos_api.compat import post_job_routes, routes

BLUEPRINTS = (routes.blueprint, post_job_routes.blueprint)
