"""Converts an image to the header cards and pixel data of a FITS file.

Pure functions: must not know astropy, files, or the class `Image`.
"""
