"""Network faults: refused and broken connections, stalls, delays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ._catalogue import fault

if TYPE_CHECKING:
    from ._exchange import Exchange


@fault(
    "network",
    "The port is closed; existing connections are reset.",
    passes_on=False,
    scope="port",
)
async def refuse(exchange: Exchange) -> None:
    exchange.client.reset()  # a connection accepted before the port closed


@fault(
    "network",
    "A connection is reset as soon as it is established.",
    passes_on=False,
    scope="connection",
)
async def reset_on_connect(exchange: Exchange) -> None:
    exchange.client.reset()


@fault(
    "network",
    "A connection is closed as soon as it is established.",
    passes_on=False,
    scope="connection",
)
async def close_on_connect(exchange: Exchange) -> None:
    exchange.client.close()


# Broken connections


@fault("network", "The connection is reset; the request is not forwarded.", passes_on=False)
async def reset_before(exchange: Exchange) -> None:
    exchange.client.reset()


@fault("network", "The connection closes; the request is not forwarded.", passes_on=False)
async def close_before(exchange: Exchange) -> None:
    exchange.client.close()


@fault("network", "The connection is reset after the request is executed, before the reply.")
async def reset_after(exchange: Exchange) -> None:
    await exchange.reply()
    exchange.client.reset()


@fault("network", "The connection closes after the request is executed, before the reply.")
async def close_after(exchange: Exchange) -> None:
    await exchange.reply()
    exchange.client.close()


@fault("network", "The connection is reset within the head of the reply.")
async def reset_in_head(exchange: Exchange) -> None:
    head = (await exchange.reply()).head()
    await exchange.client.send(head[: len(head) // 2])
    exchange.client.reset()


@fault("network", "The connection is reset within the body of the reply.")
async def reset_midway(exchange: Exchange) -> None:
    await _send_half(exchange)
    exchange.client.reset()


@fault("network", "The connection closes within the body of the reply.")
async def close_midway(exchange: Exchange) -> None:
    await _send_half(exchange)
    exchange.client.close()


@fault("network", "The connection closes after the reply, without Connection: close.")
async def close_idle(exchange: Exchange) -> None:
    await exchange.pass_on()
    exchange.client.close()


# Stalls


@fault("network", "There is no reply; the request is not forwarded.", passes_on=False)
async def silence(exchange: Exchange) -> None:
    await exchange.client.wait_until_gone()


@fault("network", "There is no reply, although the request is executed.")
async def lose_reply(exchange: Exchange) -> None:
    await exchange.reply()
    await exchange.client.wait_until_gone()


@fault("network", "The reply stalls within its head.")
async def stall_in_head(exchange: Exchange) -> None:
    head = (await exchange.reply()).head()
    await exchange.client.send(head[: len(head) // 2])
    await exchange.client.wait_until_gone()


@fault("network", "The reply stalls within its body.")
async def stall(exchange: Exchange) -> None:
    await _send_half(exchange)
    await exchange.client.wait_until_gone()


# Delays


@fault("network", "The reply is delayed (option `seconds`).", seconds=1.0)
async def delay(exchange: Exchange) -> None:
    wire = (await exchange.reply()).wire
    await asyncio.sleep(exchange.options["seconds"])
    await exchange.client.send(wire)


@fault(
    "network",
    "The request is delayed, and executed even if its client disconnects (option `seconds`).",
    seconds=1.0,
)
async def delay_request(exchange: Exchange) -> None:
    await asyncio.sleep(exchange.options["seconds"])
    await exchange.pass_on()


@fault(
    "network",
    "The reply arrives one byte at a time, with a pause between bytes (option `seconds`).",
    seconds=1.0,
)
async def drip(exchange: Exchange) -> None:
    await _send_slowly(exchange, 1, exchange.options["seconds"])


@fault(
    "network",
    "The reply arrives at a low rate (option `bytes_per_second`).",
    bytes_per_second=10_000.0,
)
async def slow(exchange: Exchange) -> None:
    size = max(int(exchange.options["bytes_per_second"] / 20), 1)
    await _send_slowly(exchange, size, size / exchange.options["bytes_per_second"])


@fault("network", "The reply arrives in packets of one byte, without delay.")
async def split(exchange: Exchange) -> None:
    await _send_slowly(exchange, 1, 0.0)


@fault(
    "network",
    "The body is sent apart from the head, and waits for an acknowledgement (40 ms on Linux).",
)
async def separate_body(exchange: Exchange) -> None:
    reply = await exchange.reply()
    exchange.client.hold_small_packets()
    await exchange.client.send(reply.head(f"Content-Length: {len(reply.body)}"))
    await exchange.client.send(reply.body)


@fault("network", "The reply arrives twice.")
async def repeat_reply(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).wire * 2)


async def _send_half(exchange: Exchange) -> None:
    """Send the head of the reply and half of its body."""
    reply = await exchange.reply()
    await exchange.client.send(reply.wire[: len(reply.wire) - (len(reply.body) + 1) // 2])


async def _send_slowly(exchange: Exchange, size: int, pause: float) -> None:
    wire = (await exchange.reply()).wire
    for start in range(0, len(wire), size):
        await exchange.client.send(wire[start : start + size])
        await asyncio.sleep(pause)
