"""A deadline: the end of everything that one attempt does, whatever it waits for."""

from time import monotonic


class Deadline:
    """An instant, ``seconds`` from its making."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began_at = monotonic()

    def spent(self) -> float:
        """Return the seconds since its making."""
        return monotonic() - self._began_at

    def left(self) -> float:
        """Return the seconds that are left. Raises :class:`TimeoutError` if none are."""
        left = self.seconds - self.spent()
        if left <= 0:
            raise TimeoutError
        return left
