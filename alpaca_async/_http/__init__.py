"""HTTP/1.1 over asyncio, as a transport of httpx: sockets, TLS, a pool of connections.

Must not know Alpaca, its errors, or numpy.
"""
