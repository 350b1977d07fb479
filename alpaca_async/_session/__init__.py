"""Requests to Alpaca servers: ids, credentials, limits in time, and errors of ours for what fails.

Must not know devices, or what the pixels of an image are for.
"""
