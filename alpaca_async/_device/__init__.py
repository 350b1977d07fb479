"""A device: its members, one request each, and what is remembered of it.

Must not know what takes longer than a request, such as an exposure.
"""
