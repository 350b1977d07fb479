"""A picture as the cards and blocks of a FITS file.

Pure: must not know astropy, files, or the class `Image`.
"""
