"""A device: its members, each one request, and what the client remembers about it.

Must not know operations of several requests, such as a whole exposure.
"""
