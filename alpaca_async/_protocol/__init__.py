"""What the bytes of Alpaca mean: values, replies, images as ImageBytes and as JSON.

Pure: must not know a socket, an event loop, a clock, or who asked.
"""
