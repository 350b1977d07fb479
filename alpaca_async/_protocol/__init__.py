"""The Alpaca wire format: values, JSON replies, and images as ImageBytes or JSON.

Pure functions and classes: must not know a socket, an event loop, a clock, or the caller.
"""
