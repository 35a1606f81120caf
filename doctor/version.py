"""The version, in the one place that costs nothing to import."""

__version__ = "0.1.0"
