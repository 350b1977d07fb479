"""Converts an image to the header cards and pixel data of a FITS file.

Pure functions: they must not use astropy, files, or the class `Image`.
"""
