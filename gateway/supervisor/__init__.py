"""Managed connections: linewarden starts, feeds and ends the worker of each account."""
