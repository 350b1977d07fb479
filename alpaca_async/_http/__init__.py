"""HTTP/1.1 over asyncio, as an httpx transport: sockets, TLS and connection pools.

Must not know Alpaca, its errors, or numpy.
"""
