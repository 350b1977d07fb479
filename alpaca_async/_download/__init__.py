"""Downloads one image reply into one array: size limit, cancellation, progress, row-major order.

Does not know cameras or exposures.
"""
