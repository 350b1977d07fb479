"""Tests of faults over sockets; docs/explanation/faults.md lists them, one row per fault."""
