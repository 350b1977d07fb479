"""Tests of what known servers do differently; docs/explanation/servers.md lists it."""
