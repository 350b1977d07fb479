"""Pixel statistics, and the conversion of pixels to 8-bit pictures.

Pure functions: they must not use files, networks, or the class `Image`.
"""
