"""Mutated replies by the hundred thousand, each judged by something that shares no code with us."""
