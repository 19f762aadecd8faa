"""The documentation page: plain HTML, CSS and JavaScript that read ``/openapi.json``."""
