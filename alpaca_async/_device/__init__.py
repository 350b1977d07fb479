"""Devices and their members, one request each, and what is remembered of them.

Must not know what takes longer than a request, such as an exposure.
"""
