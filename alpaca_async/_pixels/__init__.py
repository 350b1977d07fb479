"""What can be measured on pixels, and how they become a picture for people.

Pure: must not know files, networks, or the class `Image`.
"""
