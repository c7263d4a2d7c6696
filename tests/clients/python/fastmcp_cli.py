"""PyPI `fastmcp` 4.x, its command line, against a gateway at a URL.

Usage: python fastmcp_cli.py URL [--token TOKEN] [--offers]

Each step is one `fastmcp` process: it connects, lists the tools, calls, and leaves. Prints the same
JSON object as the other programs, with null for what a command line does not show:

- `era`, `protocol_version`, `server`, `ended`: no command prints them.
- `progress`: the command swallows the notifications; `progress_result` shows that they do no harm.
- `unknown_tool`: the command looks the name up in the list and never asks the server.

With --offers the steps, and the members, are those of `offers.py` for which there are commands.
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

# Six or seven interpreters, one after the other, on a machine that does other things as well.
TIME_LIMIT_S = 100


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

    def run(self, verb: str, *arguments: str, typed: str = "") -> dict:
        """The JSON that the command prints. A tool's own error leaves status 1 *and* JSON."""
        command = [str(self.program), verb, self.url, *arguments, "--json", *self.auth]
        shown = " ".join([verb, self.url, *arguments])
        try:
            done = subprocess.run(
                command,
                cwd=self.directory,
                env=self.environment,
                input=typed,
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
            # Where the user was asked, the questions come first, without the answers: those are not echoed.
            return json.loads(done.stdout[done.stdout.index("{") if typed else 0 :])
        except ValueError:
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


def run_offers(fastmcp: CommandLine) -> dict:
    def read(uri: str) -> dict:
        return fastmcp.run("call", uri)[0]

    listed = fastmcp.run("list", "--resources", "--prompts")
    arguments = ["arg1=one", "arg2=two"]
    prompt = fastmcp.run("call", "test_prompt_with_arguments", *arguments, "--prompt")
    # It asks on the terminal: the same forms that other clients fill in by themselves, a line a field.
    ask = ["test_elicitation", "message=Who are you?"]
    elicitation = fastmcp.run("call", *ask, typed="my username\nmy email\n")
    asking = fastmcp.run("call", "test_input_required_result_prompt", "--prompt", typed="my context\n")
    return {
        "resources": [resource["uri"] for resource in listed["resources"]],
        "resource": read("test://static-text")["text"],
        "binary": read("test://static-binary")["blob"],
        "from_template": read("test://template/7/data")["text"],
        "prompts": [prompt["name"] for prompt in listed["prompts"]],
        "prompt": prompt["messages"][0]["content"]["text"],
        "elicitation": first_text(elicitation),
        "prompt_asks": asking["messages"][0]["content"]["text"],
    }


def first_text(result: dict) -> str | None:
    return result["content"][0].get("text") if result["content"] else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--token")
    parser.add_argument("--offers", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        fastmcp = CommandLine(options.url, options.token, directory)
        report = run_offers(fastmcp) if options.offers else run_steps(fastmcp)
    name = {"client": f"fastmcp {version('fastmcp')}", "mode": "cli"}
    print(json.dumps({**name, **report}))
