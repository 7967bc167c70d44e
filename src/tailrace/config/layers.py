"""Where settings come from, in order of weight: defaults, the file, the environment, the command line.

Every layer says the same thing in the same words: text under the name of the environment variable. So each value is
checked by one piece of code, whatever it came from, and a value that cannot be used leaves what the layers below say.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT = "environment variable "
OPTION = "option --env "
DEFAULT = "default"


class Layer:
    """Values by variable, what a message calls each (`place`), and where it came from (`source`)."""

    __slots__ = ("_places", "_prefix", "values")

    def __init__(self, values: Mapping[str, str], prefix: str, places: Mapping[str, str] | None = None) -> None:
        self.values = values
        self._prefix = prefix
        self._places = places or {}

    def place(self, variable: str) -> str:
        """What stands before a message about the value of `variable`."""
        if self._prefix == ENVIRONMENT:
            return variable
        return self._places.get(variable) or self._prefix + variable

    def source(self, variable: str) -> str:
        """Where the value came from: ``environment variable X``, ``option --env X`` or ``FILE: key``."""
        return self._places.get(variable) or self._prefix + variable

    def text(self, variable: str) -> str:
        """The value without blanks around it; empty where there is none."""
        return self.values.get(variable, "").strip()
