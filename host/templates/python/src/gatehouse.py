"""Between plain functions and the contract (`wit/tool.wit`), where arguments, schemas and structured results are JSON text. It is yours to
change; the tools are in `plugin.py`.

componentize-py makes `wit_world` of the contract while building; `componentize-py -d wit -w tool-plugin bindings build/bindings` writes it
down for an editor.
"""

import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log, progress, tool_types


class Problem(Exception):
    """Something that the client's model should read and can mend in its next call."""


class Asking(Exception):
    """The tool wants to be called again with answers."""

    def __init__(self, ask: tool_types.Ask):
        self.ask = ask


class Call:
    """The call that a tool runs in."""

    def __init__(self, call: tool_types.Call):
        self.client = call.client
        # What was asked and answered in earlier rounds. Each runs in an instance of its own: the host keeps this in between.
        self.asked, self.answers = [], {}
        if call.resume:
            dialog = json.loads(call.resume.state or b"{}")
            self.asked, self.answers = dialog.get("asked", []), dialog.get("answers", {})
            self.answers |= {key: json.loads(answer) for key, answer in call.resume.answers}

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tells how far it has come."""
        progress.report(float(done), None if total is None else float(total), message)

    def log(self, level: str, text: str) -> None:
        """A line for the operator, and for a client that wants lines of this level."""
        log.write(getattr(log.Level, level.upper()), None, json.dumps(text))

    def ask(self, key: str, message: str, schema: dict) -> dict:
        """Asks the client's user to fill in a form: a flat object. Leaves the tool until there is an answer, and then runs it from its
        beginning."""
        if key in self.answers:
            answer = self.answers[key]
            # Nobody has checked what was typed in.
            if answer.get("action") != "accept" or not isinstance(answer.get("content"), dict):
                raise Problem(f"The user did not answer: {message}")
            missing = [name for name in schema.get("required", []) if name not in answer["content"]]
            if missing:
                raise Problem(f"The user's answer lacks {', '.join(missing)}.")
            return answer["content"]
        if key in self.asked:
            raise Problem(f"The user gave no answer: {message}")
        if not self.client & tool_types.ClientFeatures.ELICIT_FORM:
            raise Err(tool_types.Failure_MissingClientFeature(tool_types.ClientFeatures.ELICIT_FORM))
        form = tool_types.Question_ElicitForm(tool_types.Form(message=message, schema=json.dumps(schema)))
        state = json.dumps({"asked": [*self.asked, key], "answers": self.answers}).encode()
        raise Asking(tool_types.Ask(questions=[(key, form)], state=state))


@dataclass(frozen=True)
class Tool:
    """A function with what clients are told about it. It takes the call, and the arguments by name."""

    name: str
    title: str
    #: Written for the client's model: what it does and when to use it.
    description: str
    #: JSON Schema of the arguments. The host checks them before it calls.
    input: dict
    run: Callable[..., dict | str]
    #: JSON Schema of the result, which the host checks too; without it the tool answers with a text.
    output: dict | None = None
    read_only: bool = True

    def describe(self) -> tool_types.Tool:
        """The tool as it stands in `tools/list`."""
        return tool_types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=json.dumps(self.input),
            output_schema=self.output and json.dumps(self.output),
            annotations=tool_types.Annotations(
                title=None, read_only=self.read_only, destructive=None, idempotent=None, open_world=None
            ),
            icons=[],
            scopes=[],
            meta=None,
        )

    def answer(self, call: tool_types.Call) -> tool_types.Outcome:
        """One call."""
        try:
            result = self.run(Call(call), **json.loads(call.arguments))
            if self.output is None:
                return complete(text(result), None, False)
            # JSON has no infinity and no NaN: better a failure here than text that the host cannot parse.
            return complete([], json.dumps(result, allow_nan=False), False)
        except Problem as problem:
            return complete(text(problem), None, True)
        except Asking as asking:
            return tool_types.Outcome_InputRequired(asking.ask)
        except Err:
            raise
        except Exception as fault:
            # A fault of the tool's: for the operator's log. Uncaught, it would end the instance without a word.
            raise Err(tool_types.Failure_Internal(traceback.format_exc())) from fault


def text(words: object) -> list:
    return [tool_types.Content_Text(tool_types.Text(text=str(words), annotations=None))]


def complete(content: list, structured: str | None, is_error: bool) -> tool_types.Outcome:
    # No content beside a structured answer: the host adds its text form.
    return tool_types.Outcome_Complete(tool_types.Reply(content=content, structured=structured, is_error=is_error, meta=None))


def Plugin(*tools: Tool) -> type:
    """A plugin of tools, in the order of `tools/list`."""

    class Tools(exports.Tools):
        def list_tools(self) -> list[tool_types.Tool]:
            return [tool.describe() for tool in tools]

        def call_tool(self, call: tool_types.Call) -> tool_types.Outcome:
            tool = next((tool for tool in tools if tool.name == call.tool), None)
            if tool is None:
                raise Err(tool_types.Failure_UnknownName())
            return tool.answer(call)

    return Tools
