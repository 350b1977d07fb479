"""Finds servers and cameras in the network, by UDP.

Must not know how a device is used.
"""
