"""One call after the other, with progress, over connections that somebody cuts.

Usage: python soak.py URL CALLS

Prints one JSON object: what each call gave, in order. Nothing here repeats a call or judges an answer: the Rust test does.
"""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation


async def main(url: str, calls: int) -> dict:
    results = []
    # The library's own five seconds would cut the standalone stream, which is silent here.
    async with httpx2.AsyncClient(timeout=60) as http:
        transport = streamable_http_client(url, http_client=http)
        info = Implementation(name="gatehouse-soak", version="1.0.0")
        async with Client(transport, mode="legacy", client_info=info) as client:
            for number in range(calls):
                results.append(await call(client, number))
    return {"results": results}


async def call(client: Client, number: int) -> dict:
    progress: list[float] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append(int(done))

    try:
        arguments = {"message": f"call {number}", "n": 5, "interval_ms": 10}
        result = await client.call_tool("slow_count", arguments, progress_callback=on_progress)
    except MCPError as error:
        return {"progress": progress, "error": error.code}
    return {"progress": progress, "text": getattr(result.content[0], "text", None)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2])))))
