"""Simulated Alpaca cameras over real HTTP, for tests without a telescope."""
