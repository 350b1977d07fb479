"""Cameras that expose together.

Must not know how a camera exposes: a group calls what `AsyncCamera` offers to everybody.
"""
