"""Pixel statistics, and the conversion of pixels to 8-bit pictures.

Pure functions: must not know files, networks, or the class `Image`.
"""
