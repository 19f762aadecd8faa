"""What Schemathesis needs to know of Chronos: that an idempotency key goes with one request."""

from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: Any) -> None:
    """Give each request a key of its own."""
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = uuid4().hex
