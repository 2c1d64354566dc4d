"""A relay on loopback that adds a round-trip time. usage: delay.py TARGET_PORT ROUND_TRIP_MS; prints its port.

Each direction costs half of it, and a new connection one round trip. Order is kept.
"""
import asyncio
import sys

MOST_IN_FLIGHT = 16 << 20


async def pump(reader, writer, delay):
    """What is read now is written `delay` later."""
    loop = asyncio.get_running_loop()
    queue, room, held = asyncio.Queue(), asyncio.Event(), 0
    room.set()

    async def write():
        nonlocal held
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
            held -= len(data)
            if held < MOST_IN_FLIGHT:
                room.set()

    async def read():
        nonlocal held
        while True:
            await room.wait()
            data = await reader.read(1 << 18)
            queue.put_nowait((loop.time() + delay, data))
            if not data:
                return
            held += len(data)
            if held >= MOST_IN_FLIGHT:
                room.clear()
    await asyncio.gather(read(), write())


async def relay(reader, writer, port, delay):
    try:
        await asyncio.sleep(2 * delay)
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            await asyncio.gather(pump(reader, upstream_writer, delay), pump(upstream_reader, writer, delay))
        finally:
            upstream_writer.close()
    except OSError:
        pass
    finally:
        writer.close()


async def main(port, round_trip_ms):
    delay = round_trip_ms / 2000
    server = await asyncio.start_server(
        lambda reader, writer: relay(reader, writer, port, delay), "127.0.0.1", 0, limit=1 << 20, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
