"""Everything but plain calls, by both Python packages: resources, prompts, completion, questions to the client, progress, logs,
cancellation, subscriptions, and lists that change.

Usage: python offers.py URL mcp|fastmcp legacy|auto|pinned

Prints `listening` on a line of its own as soon as it would hear that a list changes, and goes on when the tools have changed: whoever
runs it must then change them. Afterwards one JSON object; README.md describes it. An answer is judged by the Rust test; what does not
come within its time ends the program with a traceback that says what.
"""

import argparse
import asyncio
import faulthandler
import json
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import TypeVar

import fastmcp
import httpx2
import mcp_types as types
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import listen
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

TIME_LIMIT_S = 60
WAIT_LIMIT_S = 20
MODES = {"auto": "auto", "legacy": "legacy", "pinned": "2026-07-28"}
T = TypeVar("T")
MakeHttp = Callable[..., httpx2.AsyncClient]
WATCHED = "test://watched-resource"
INFO = types.Implementation(name="gatehouse-test", version="1.0.0")
ROOT = types.Root(uri="file:///srv/project", name="project")


class Heard:
    """What the server said unasked, by kind, and a way to wait for more of it."""

    def __init__(self) -> None:
        self.letters: dict[str, list] = {}
        self.news = asyncio.Event()

    def of(self, kind: str) -> list:
        return self.letters.setdefault(kind, [])

    def put(self, kind: str, letter: object) -> None:
        self.of(kind).append(letter)
        self.news.set()

    async def wait(self, what: str, there: Callable[[], bool]) -> None:
        async def look() -> None:
            while not there():
                self.news.clear()
                await self.news.wait()

        await bounded(what, look())

    async def message(self, message: types.ServerNotification | Exception) -> None:
        match message:
            case types.ToolListChangedNotification():
                self.put("changed", "tools")
            case types.PromptListChangedNotification():
                self.put("changed", "prompts")
            case types.ResourceListChangedNotification():
                self.put("changed", "resources")
            case types.ResourceUpdatedNotification():
                self.put("updated", str(message.params.uri))

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.put("log", f"{params.level}: {params.data}")


class Answers:
    """The user and the model of this client."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def elicitation(self, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.asked["elicitation"] += 1
        if "decline" in params.message:
            return types.ElicitResult(action="decline")
        content = {name: f"my {name}" for name in params.requested_schema["properties"]}
        return types.ElicitResult(action="accept", content=content)

    def sampling(self, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.asked["sampling"] += 1
        text = f'To "{params.messages[0].content.text}": yes'
        return types.CreateMessageResult(role="assistant", model="none", content=types.TextContent(type="text", text=text))

    def roots(self) -> list[types.Root]:
        self.asked["roots"] += 1
        return [ROOT]


class Mcp:
    """The official client. What the two packages call alike, callers take from `client`."""

    def __init__(self, url: str, mode: str, http: MakeHttp, heard: Heard, answers: Answers) -> None:
        async def elicit(_: object, params: types.ElicitRequestParams) -> types.ElicitResult:
            return answers.elicitation(params)

        async def sample(_: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
            return answers.sampling(params)

        async def roots(_: object) -> types.ListRootsResult:
            return types.ListRootsResult(roots=answers.roots())

        self.http = http()
        self.client = McpClient(
            streamable_http_client(url, http_client=self.http),
            mode=mode,
            client_info=INFO,
            elicitation_callback=elicit,
            sampling_callback=sample,
            list_roots_callback=roots,
            logging_callback=heard.log,
            # Of the modern era; in the other one a request sets it.
            log_level="info",
            message_handler=heard.message,
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        async with self.http, self.client:
            yield

    async def tools(self) -> list[types.Tool]:
        return (await self.client.list_tools()).tools

    async def resources(self) -> list[types.Resource]:
        return (await self.client.list_resources()).resources

    async def templates(self) -> list[types.ResourceTemplate]:
        return (await self.client.list_resource_templates()).resource_templates

    async def prompts(self) -> list[types.Prompt]:
        return (await self.client.list_prompts()).prompts

    async def read(self, uri: str) -> types.TextResourceContents | types.BlobResourceContents:
        return (await self.client.read_resource(uri)).contents[0]

    async def complete(self, ref: object, name: str, value: str) -> types.Completion:
        return (await self.client.complete(ref, {"name": name, "value": value})).completion

    async def call(self, tool: str, arguments: dict, progress: Callable | None = None) -> types.CallToolResult:
        return await self.client.call_tool(tool, arguments, progress_callback=progress)


class FastMcp:
    """FastMCP's own client, with the same methods as `Mcp`."""

    def __init__(self, url: str, mode: str, http: MakeHttp, heard: Heard, answers: Answers) -> None:
        async def elicit(_message: str, _type: object, params: types.ElicitRequestParams, _: object) -> types.ElicitResult:
            return answers.elicitation(params)

        async def sample(_: object, params: types.CreateMessageRequestParams, __: object) -> types.CreateMessageResult:
            return answers.sampling(params)

        self.client = fastmcp.Client(
            StreamableHttpTransport(url, httpx_client_factory=http),
            mode=mode,
            client_info=INFO,
            elicitation_handler=elicit,
            sampling_handler=sample,
            roots=lambda _: answers.roots(),
            log_handler=heard.log,
            message_handler=heard.message,
        )

    def connected(self) -> AbstractAsyncContextManager[object]:
        # It opens and closes the HTTP client by itself.
        return self.client

    async def tools(self) -> list[types.Tool]:
        return await self.client.list_tools()

    async def resources(self) -> list[types.Resource]:
        return await self.client.list_resources()

    async def templates(self) -> list[types.ResourceTemplate]:
        return await self.client.list_resource_templates()

    async def prompts(self) -> list[types.Prompt]:
        return await self.client.list_prompts()

    async def read(self, uri: str) -> types.TextResourceContents | types.BlobResourceContents:
        return (await self.client.read_resource(uri))[0]

    async def complete(self, ref: object, name: str, value: str) -> types.Completion:
        return await self.client.complete(ref, {"name": name, "value": value})

    async def call(self, tool: str, arguments: dict, progress: Callable | None = None) -> object:
        return await self.client.call_tool(tool, arguments, progress_handler=progress)


async def main(url: str, package: str, mode: str) -> dict:
    delete_status: list[int] = []
    stream_opened = asyncio.Event()

    async def observe(response: httpx2.Response) -> None:
        """Neither client lets its caller see these answers."""
        if response.request.method == "DELETE":
            delete_status.append(response.status_code)
        if response.request.method == "GET" and response.is_success:
            stream_opened.set()

    def http(**options: object) -> httpx2.AsyncClient:
        # The library's own five seconds would cut the standalone stream, which is silent here.
        return httpx2.AsyncClient(**{**options, "timeout": TIME_LIMIT_S, "event_hooks": {"response": [observe]}})

    heard, answers = Heard(), Answers()
    us = {"mcp": Mcp, "fastmcp": FastMcp}[package](url, MODES[mode], http, heard, answers)
    async with us.connected():
        modern = us.client.protocol_version in MODERN_PROTOCOL_VERSIONS
        report = {
            **await resources(us),
            **await prompts(us),
            **await questions(us, answers),
            **await notifications(us, heard, modern),
            **await cancellation(us),
            **await changes(us, heard, None if modern else stream_opened),
        }
    head = {"client": f"{package} {version(package)}", "mode": mode, "era": "modern" if modern else "legacy"}
    return {**head, **report, "ended": f"DELETE {delete_status[-1]}" if delete_status else "n/a"}


async def resources(us: Mcp | FastMcp) -> dict:
    return {
        "resources": [str(resource.uri) for resource in await us.resources()],
        "templates": [template.uri_template for template in await us.templates()],
        "resource": (await us.read("test://static-text")).text,
        "binary": (await us.read("test://static-binary")).blob,
        "from_template": (await us.read("test://template/7/data")).text,
        "no_resource": await refusal(us.read("test://template/long/data")),
    }


async def prompts(us: Mcp | FastMcp) -> dict:
    async def messages(name: str, arguments: dict) -> list[types.ContentBlock]:
        return [message.content for message in (await us.client.get_prompt(name, arguments)).messages]

    image = (await messages("test_prompt_with_image", {}))[0]
    of_prompt = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
    of_template = types.ResourceTemplateReference(type="ref/resource", uri="test://template/{id}/data")
    many = await us.complete(of_template, "id", "")
    return {
        "prompts": [prompt.name for prompt in await us.prompts()],
        "prompt": (await messages("test_prompt_with_arguments", {"arg1": "one", "arg2": "two"}))[0].text,
        "prompt_image": f"{image.type} {image.mime_type} {image.data}",
        "no_prompt": await refusal(messages("no_such_prompt", {})),
        "completion": (await us.complete(of_prompt, "arg1", "par")).values,
        "completion_many": {"count": len(many.values), "total": many.total, "has_more": many.has_more},
    }


async def questions(us: Mcp | FastMcp, answers: Answers) -> dict:
    """Tools, a prompt and a resource that ask: by requests of the server's in one era, by answers that are no end in the other."""

    async def text(tool: str, **arguments: str) -> str:
        return (await us.call(tool, arguments)).content[0].text

    prompt = await us.client.get_prompt("test_input_required_result_prompt", {})
    return {
        "elicitation": await text("test_elicitation", message="Who are you?"),
        "declined": await text("test_elicitation", message="Please decline"),
        "elicitation_again": await text("test_input_required_result_elicitation"),
        "two_rounds": await text("test_input_required_result_multi_round"),
        "sampling": await text("test_sampling", prompt="Is it?"),
        "sampling_again": await text("test_input_required_result_sampling"),
        "roots": await text("test_input_required_result_list_roots"),
        "three_kinds": await text("test_input_required_result_multiple_inputs"),
        "prompt_asks": prompt.messages[0].content.text,
        "resource_asks": (await us.read("test://asks")).text,
        "asked": dict(answers.asked),
    }


async def notifications(us: Mcp | FastMcp, heard: Heard, modern: bool) -> dict:
    progress: list[list[int]] = []

    async def on_progress(done: float, total: float | None, _: str | None) -> None:
        progress.append([int(done), int(total or 0)])

    await us.call("test_tool_with_progress", {}, on_progress)
    if not modern:
        await us.client.set_logging_level("info")
    await us.call("test_tool_with_logging", {})
    await heard.wait("three log lines", lambda: len(heard.of("log")) >= 3)
    return {"progress": progress, "logs": heard.of("log")}


async def cancellation(us: Mcp | FastMcp) -> dict:
    """The gateway has one slot: while a call holds it, another one is refused, and afterwards is not."""
    spinning = asyncio.create_task(us.call("spin", {}))
    await until("the slot is taken", lambda: slot_is(us, free=False))
    spinning.cancel()
    outcome = await bounded("the call ends", asyncio.gather(spinning, return_exceptions=True))
    await until("the slot is free again", lambda: slot_is(us, free=True))
    return {"cancelled": "rejected" if isinstance(outcome[0], BaseException) else "answered"}


async def slot_is(us: Mcp | FastMcp, free: bool) -> bool:
    try:
        await us.call("test_simple_text", {})
    except MCPError as error:
        if error.code != -31004:
            raise
        return not free
    return free


async def changes(us: Mcp | FastMcp, heard: Heard, stream_opened: asyncio.Event | None) -> dict:
    async with AsyncExitStack() as stack:
        if stream_opened is None:
            every = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True}
            # FastMCP has no method for it; its session is the official one.
            await stack.enter_async_context(listen(us.client.session, **every, resource_subscriptions=[WATCHED]))
        else:
            await bounded("the stream of the session opens", stream_opened.wait())
            await us.client.session.subscribe_resource(WATCHED)
        await us.call("test_touch_resource", {"uri": WATCHED})
        await heard.wait("an update", lambda: bool(heard.of("updated")))

        before = len(await us.tools())
        print("listening", flush=True)
        await heard.wait("a change of the tools", lambda: "tools" in heard.of("changed"))
        added = [tool.name for tool in (await us.tools())[before:]]

        swapped = heard.letters.pop("changed")
        # Each list is another one each time that it is asked for, which is when the component says so.
        for changing in ("tool", "prompt", "resource"):
            await us.call(f"test_trigger_{changing}_change", {})
        await heard.wait("a change of every list", lambda: len(set(heard.of("changed"))) == 3)
        return {"updated": heard.of("updated"), "swapped": swapped, "added": added, "triggered": sorted(heard.of("changed"))}


async def refusal(answer: Awaitable[object]) -> int:
    """The code of the error that must come in place of an answer."""
    try:
        await answer
    except MCPError as error:
        return error.code
    raise RuntimeError("it was answered")


async def until(what: str, ask: Callable[[], Awaitable[bool]]) -> None:
    async def again() -> None:
        while not await ask():
            pass

    await bounded(what, again())


async def bounded(what: str, awaitable: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(awaitable, WAIT_LIMIT_S)
    except asyncio.TimeoutError:  # Its own class before Python 3.11.
        raise RuntimeError(f"{what}: not within {WAIT_LIMIT_S} s") from None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("package", choices=["mcp", "fastmcp"])
    parser.add_argument("mode", choices=MODES)
    options = parser.parse_args()
    # Roots, sampling, logging and subscriptions are on their way out, and still in use.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    # Even a blocked event loop ends in time, and says where it stood.
    faulthandler.dump_traceback_later(TIME_LIMIT_S, exit=True)
    print(json.dumps(asyncio.run(main(options.url, options.package, options.mode))))
