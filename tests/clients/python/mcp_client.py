"""PyPI `mcp` 2.x, the official Python client, against a gateway at a URL.

Usage: python mcp_client.py URL auto|legacy|pinned [--token TOKEN]

auto: `server/discover` first, `initialize` when the answer is not modern (the SDK's default).
legacy: `initialize` only. pinned: 2026-07-28 at once, with no request to settle it.

Runs a fixed series of steps and prints one JSON object; README.md describes it. Nothing here judges
an answer: the Rust test does. What is not an answer ends the program with its traceback.
"""

import argparse
import asyncio
import faulthandler
import json
import sys
from importlib.metadata import version

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

TIME_LIMIT_S = 60
MODES = {"auto": "auto", "legacy": "legacy", "pinned": "2026-07-28"}


async def main(url: str, mode: str, token: str | None) -> dict:
    delete_status: list[int] = []

    async def observe(response: httpx2.Response) -> None:
        """Tells stderr about each exchange; the SDK does not let its caller see the DELETE."""
        request = response.request
        sent = json.loads(request.content or "{}").get("method", "-")
        kind = response.headers.get("content-type", "-")
        print(f"{request.method} {sent} -> {response.status_code} {kind}", file=sys.stderr)
        if request.method == "DELETE":
            delete_status.append(response.status_code)

    http = httpx2.AsyncClient(
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
        # The library's own five seconds would cut the standalone stream, which is silent here.
        timeout=TIME_LIMIT_S,
        event_hooks={"response": [observe]},
    )
    async with http:
        transport = streamable_http_client(url, http_client=http)
        info = Implementation(name="gatehouse-test", version="1.0.0")
        async with Client(transport, mode=MODES[mode], client_info=info) as client:
            report = await run_steps(client)
    ended = f"DELETE {delete_status[-1]}" if delete_status else "n/a"
    return {"client": f"mcp {version('mcp')}", "mode": mode, **report, "ended": ended}


async def run_steps(client: Client) -> dict:
    tools = await tool_names(client)
    echoed = await client.call_tool("echo", {"message": "hello – ünïcödé"})
    stats = await client.call_tool("word_stats", {"text": "one two two"})
    refused = await client.call_tool("regex_extract", {"pattern": "(", "text": "x"})

    progress: list[dict] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append({"progress": whole(done), "total": whole(total), "message": message})

    counted = await client.call_tool(
        "slow_count",
        {"message": "done", "n": 3, "interval_ms": 20},
        progress_callback=on_progress,
    )

    # None when pinned: this SDK takes the name from `server/discover` alone, not from later answers.
    server = client.server_info
    return {
        "era": "modern" if client.protocol_version in MODERN_PROTOCOL_VERSIONS else "legacy",
        "protocol_version": client.protocol_version,
        "server": None if server is None else {"name": server.name, "version": server.version},
        "tools": tools,
        "text": first_text(echoed),
        "structured": stats.structured_content,
        "failure": {"is_error": bool(refused.is_error), "text": first_text(refused)},
        "progress": progress,
        "progress_result": first_text(counted),
        "unknown_tool": await unknown(client),
        "bad_arguments": await bad(client),
    }


async def tool_names(client: Client) -> list[str]:
    page = await client.list_tools()
    names = [tool.name for tool in page.tools]
    while page.next_cursor is not None:
        page = await client.list_tools(cursor=page.next_cursor)
        names += [tool.name for tool in page.tools]
    return names


async def unknown(client: Client) -> dict:
    try:
        result = await client.call_tool("no_such_tool", {})
    except MCPError as error:
        return {"code": error.code, "message": error.message}
    return {"code": None, "message": first_text(result)}


async def bad(client: Client) -> dict:
    try:
        result = await client.call_tool("echo", {"message": 5})
    except MCPError as error:
        return {"is_error": None, "text": error.message, "code": error.code}
    return {"is_error": bool(result.is_error), "text": first_text(result), "code": None}


def first_text(result: CallToolResult) -> str | None:
    return getattr(result.content[0], "text", None) if result.content else None


def whole(number: float | None) -> float | int | None:
    """The SDK reads every number as a float; the wire, and the other programs, say 3 and not 3.0."""
    return int(number) if number is not None and float(number).is_integer() else number


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--token")
    options = parser.parse_args()
    # Even a blocked event loop ends in time, and says where it stood.
    faulthandler.dump_traceback_later(TIME_LIMIT_S, exit=True)
    print(json.dumps(asyncio.run(main(options.url, options.mode, options.token))))
