"""What networks do: refuse, break off, fall silent, dawdle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ._catalogue import fault

if TYPE_CHECKING:
    from ._exchange import Exchange


@fault(
    "network",
    "The port is closed; connections that exist are reset.",
    passes_on=False,
    scope="port",
)
async def refuse(exchange: Exchange) -> None:
    exchange.client.reset()  # what was on its way when the port was closed


@fault(
    "network", "A connection is reset as soon as it is made.", passes_on=False, scope="connection"
)
async def reset_on_connect(exchange: Exchange) -> None:
    exchange.client.reset()


# Breaking off


@fault("network", "Instead of passing the request on, resets the connection.", passes_on=False)
async def reset_before(exchange: Exchange) -> None:
    exchange.client.reset()


@fault("network", "Instead of passing the request on, closes the connection.", passes_on=False)
async def close_before(exchange: Exchange) -> None:
    exchange.client.close()


@fault("network", "Instead of passing the reply on, resets the connection.")
async def reset_after(exchange: Exchange) -> None:
    await exchange.reply()
    exchange.client.reset()


@fault("network", "Instead of passing the reply on, closes the connection.")
async def close_after(exchange: Exchange) -> None:
    await exchange.reply()
    exchange.client.close()


@fault("network", "Resets the connection within the head of the reply.")
async def reset_in_head(exchange: Exchange) -> None:
    head = (await exchange.reply()).head()
    await exchange.client.send(head[: len(head) // 2])
    exchange.client.reset()


@fault("network", "Resets the connection within the body of the reply.")
async def reset_midway(exchange: Exchange) -> None:
    await _send_half(exchange)
    exchange.client.reset()


@fault("network", "Closes the connection within the body of the reply.")
async def close_midway(exchange: Exchange) -> None:
    await _send_half(exchange)
    exchange.client.close()


@fault("network", "Closes the connection after the reply, unannounced.")
async def close_idle(exchange: Exchange) -> None:
    await exchange.pass_on()
    exchange.client.close()


# Silence


@fault("network", "Neither passes the request on nor answers it.", passes_on=False)
async def silence(exchange: Exchange) -> None:
    await exchange.client.wait_until_gone()


@fault("network", "Passes the request on, and never answers.")
async def lose_reply(exchange: Exchange) -> None:
    await exchange.reply()
    await exchange.client.wait_until_gone()


@fault("network", "The head of the reply stops halfway.")
async def stall_in_head(exchange: Exchange) -> None:
    head = (await exchange.reply()).head()
    await exchange.client.send(head[: len(head) // 2])
    await exchange.client.wait_until_gone()


@fault("network", "The body of the reply stops halfway.")
async def stall(exchange: Exchange) -> None:
    await _send_half(exchange)
    await exchange.client.wait_until_gone()


# Dawdling


@fault("network", "The reply comes late.", seconds=1.0)
async def delay(exchange: Exchange) -> None:
    wire = (await exchange.reply()).wire
    await asyncio.sleep(exchange.options["seconds"])
    await exchange.client.send(wire)


@fault("network", "The request is passed on late, even if its sender has left.", seconds=1.0)
async def delay_request(exchange: Exchange) -> None:
    await asyncio.sleep(exchange.options["seconds"])
    await exchange.pass_on()


@fault("network", "The reply comes byte by byte, one in so many seconds.", seconds=1.0)
async def drip(exchange: Exchange) -> None:
    await _send_slowly(exchange, 1, exchange.options["seconds"])


@fault("network", "The reply comes at a low rate.", bytes_per_second=10_000.0)
async def slow(exchange: Exchange) -> None:
    size = max(int(exchange.options["bytes_per_second"] / 20), 1)
    await _send_slowly(exchange, size, size / exchange.options["bytes_per_second"])


@fault("network", "The reply comes whole, but in packets of a byte each.")
async def split(exchange: Exchange) -> None:
    await _send_slowly(exchange, 1, 0.0)


@fault("network", "The reply comes twice.")
async def repeat_reply(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).wire * 2)


async def _send_half(exchange: Exchange) -> None:
    """Send the head of the reply, and half of its body."""
    reply = await exchange.reply()
    await exchange.client.send(reply.wire[: len(reply.wire) - (len(reply.body) + 1) // 2])


async def _send_slowly(exchange: Exchange, size: int, pause: float) -> None:
    wire = (await exchange.reply()).wire
    for start in range(0, len(wire), size):
        await exchange.client.send(wire[start : start + size])
        await asyncio.sleep(pause)
