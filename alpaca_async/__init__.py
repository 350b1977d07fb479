"""An asyncio client for ASCOM Alpaca cameras."""
