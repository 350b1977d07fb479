"""What takes a while and can be cancelled: exposures, sequences, cooling, recovery, watching.

Must not know groups of cameras, or how a client is made.
"""
