"""Whether two JSON values are the same as they were written."""

import json
from typing import Any


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are written alike.

    Python calls objects equal whose members stand in another order, and 1, 1.0 and true as well.
    Values beside JSON's, such as instants, are compared as text.
    """
    return one == other and _written(one) == _written(other)


def _written(value: Any) -> str:
    return json.dumps(value, default=str)
