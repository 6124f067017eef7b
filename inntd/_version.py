"""The version, stated once: read by the build and by CMake."""

__version__ = "0.1.0"
