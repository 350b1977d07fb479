"""Requests to Alpaca servers: transaction ids, credentials, timeouts, and translation of errors.

Must not know devices, or how images are used.
"""
