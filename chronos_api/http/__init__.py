"""The parts of HTTP that every route shares: blueprints, bodies, errors, headers."""
