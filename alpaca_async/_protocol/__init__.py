"""The Alpaca wire format: values, JSON replies, and images as ImageBytes or JSON.

Pure functions and classes: no socket, no event loop, no clock, no knowledge of the caller.
"""
