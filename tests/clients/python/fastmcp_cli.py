"""PyPI `fastmcp` 4.x, its command line, against a gateway at a URL.

Usage: python fastmcp_cli.py URL [--token TOKEN]

Each step is one `fastmcp` process: it connects, lists the tools, calls, and leaves. Prints the same
JSON object as the other programs, with null for what a command line does not show:

- `era`, `protocol_version`, `server`, `ended`: no command prints them.
- `progress`: the command swallows the notifications; `progress_result` shows that they do no harm.
- `unknown_tool`: the command looks the name up in the list and never asks the server.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

TIME_LIMIT_S = 60


class CommandLine:
    """`fastmcp` of this environment, run against one URL."""

    def __init__(self, url: str, token: str | None, directory: str) -> None:
        self.program = Path(sys.executable).with_name("fastmcp")
        self.url = url
        # Without a word about it the command would start a browser login when it meets a 401.
        self.auth = ["--auth", "none" if token is None else token]
        # Not the caller's directory: fastmcp reads settings from a file `.env` there.
        self.directory = directory
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "FORCE_COLOR"},
            "FASTMCP_CHECK_FOR_UPDATES": "off",
            "FASTMCP_HOME": directory,
            "NO_COLOR": "1",
            "PYTHONUTF8": "1",
        }
        self.deadline = time.monotonic() + TIME_LIMIT_S

    def run(self, verb: str, *arguments: str) -> dict:
        """The JSON that the command prints. A tool's own error leaves status 1 *and* JSON."""
        command = [str(self.program), verb, self.url, *arguments, "--json", *self.auth]
        shown = " ".join([verb, self.url, *arguments])
        try:
            done = subprocess.run(
                command,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                timeout=max(self.deadline - time.monotonic(), 0.001),
            )
        except subprocess.TimeoutExpired:
            # `from None`: the original names the whole command, and with it the token.
            message = f"fastmcp {shown}: the series did not end within {TIME_LIMIT_S} s"
            raise RuntimeError(message) from None
        print(f"fastmcp {shown} -> status {done.returncode}", file=sys.stderr)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            # Failures other than a tool's are prose, on standard output too.
            raise RuntimeError(f"fastmcp {shown}: {done.stdout.strip()}") from None

    def call(self, tool: str, arguments: dict) -> dict:
        # One JSON object, because key=value pairs are coerced to the tool's schema before sending.
        return self.run("call", tool, "--input-json", json.dumps(arguments, ensure_ascii=False))


def run_steps(fastmcp: CommandLine) -> dict:
    tools = fastmcp.run("list")["tools"]
    # The one call in the style that people type.
    echoed = fastmcp.run("call", "echo", "message=hello – ünïcödé")
    stats = fastmcp.call("word_stats", {"text": "one two two"})
    refused = fastmcp.call("regex_extract", {"pattern": "(", "text": "x"})
    counted = fastmcp.call("slow_count", {"message": "done", "n": 3, "interval_ms": 20})
    bad = fastmcp.call("echo", {"message": 5})
    return {
        "era": None,
        "protocol_version": None,
        "server": None,
        "tools": [tool["name"] for tool in tools],
        "text": first_text(echoed),
        "structured": stats.get("structured_content"),
        "failure": {"is_error": refused["is_error"], "text": first_text(refused)},
        "progress": None,
        "progress_result": first_text(counted),
        "unknown_tool": None,
        "bad_arguments": {"is_error": bad["is_error"], "text": first_text(bad), "code": None},
        "ended": None,
    }


def first_text(result: dict) -> str | None:
    return result["content"][0].get("text") if result["content"] else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--token")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        report = run_steps(CommandLine(options.url, options.token, directory))
    name = {"client": f"fastmcp {version('fastmcp')}", "mode": "cli"}
    print(json.dumps({**name, **report}))
