"""Servers and cameras that nobody named, found by UDP.

Must not know how a device is used once it is found.
"""
