"""Operations that take a while: exposures, sequences, cooling, recovery, watching.

All of them can be cancelled. Must not know groups of cameras, or how a client is made.
"""
