"""The devices beside the camera: filter wheel, focuser, cover and calibrator, safety monitor.

Must not know cameras or images, or how a client is made.
"""
