"""Downloads one image reply into one array: size limit, cancellation, progress, row-major order.

Must not know cameras or exposures.
"""
