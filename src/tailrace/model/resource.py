"""Where records come from: the function and this one execution environment of it."""

from __future__ import annotations


class Resource:
    """The function and the environment (OpenTelemetry: resource). Fixed for the life of the process."""

    __slots__ = ("account_id", "environment_id", "function_name", "function_version", "memory_mb", "region")

    def __init__(
        self,
        function_name: str,
        environment_id: str,
        function_version: str = "$LATEST",
        region: str = "",
        account_id: str = "",
        memory_mb: int = 0,
    ) -> None:
        self.function_name = function_name
        self.environment_id = environment_id
        self.function_version = function_version
        self.region = region
        self.account_id = account_id
        self.memory_mb = memory_mb

    def of_environment(self, environment_id: str) -> Resource:
        """The same function in another environment, or in a former process of this one."""
        return Resource(
            self.function_name, environment_id, self.function_version, self.region, self.account_id, self.memory_mb
        )
