"""Long operations that can be cancelled: exposures, sequences, cooling, reconnecting, watching.

Must not know groups of cameras, or how a client is made.
"""
