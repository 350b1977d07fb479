"""Finds servers and cameras in the network, by UDP.

Must not import the code that uses a device.
"""
