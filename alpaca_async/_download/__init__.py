"""One reply to one array: bounded, cancellable, with progress, rows first if asked for.

Must not know cameras or exposures.
"""
