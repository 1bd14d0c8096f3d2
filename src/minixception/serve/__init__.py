"""The service: the analyzer over HTTP."""
