"""The one place that states the version (SemVer)."""

__version__ = "0.1.0"
