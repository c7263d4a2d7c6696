"""Between plain functions and the contract, where arguments, schemas and structured results are JSON text."""

import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world.imports import tool_types


class Problem(Exception):
    """Something that the client's model should read and can mend in its next call."""


@dataclass(frozen=True)
class Tool:
    """A function with what clients are told about it. It takes the arguments by name and returns what fits `output`."""

    name: str
    title: str
    #: Written for the client's model: what it does and when to use it.
    description: str
    #: JSON Schema of the arguments. The host checks them before it calls.
    input: dict
    #: JSON Schema of the result. The host checks that, too.
    output: dict
    run: Callable[..., dict]

    def describe(self) -> tool_types.Tool:
        """The tool as it stands in `tools/list`."""
        return tool_types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=json.dumps(self.input),
            output_schema=json.dumps(self.output),
            # True of every tool here: they compute, and touch nothing.
            annotations=tool_types.Annotations(
                title=None, read_only=True, destructive=None, idempotent=True, open_world=False
            ),
            icons=[],
            scopes=[],
            meta=None,
        )


def call(tools: list[Tool], call: tool_types.Call) -> tool_types.Outcome:
    """Runs the tool that a call names."""
    tool = next((tool for tool in tools if tool.name == call.tool), None)
    if tool is None:
        raise Err(tool_types.Failure_UnknownName())
    try:
        # JSON has no infinity and no NaN: better a failure here than text that the host cannot parse.
        structured = json.dumps(tool.run(**json.loads(call.arguments)), allow_nan=False)
    except Problem as problem:
        text = tool_types.Content_Text(tool_types.Text(text=str(problem), annotations=None))
        return complete(content=[text], structured=None, is_error=True)
    except Exception as fault:
        # A fault of ours: for the operator's log. Uncaught, it would end the instance without a word.
        raise Err(tool_types.Failure_Internal(traceback.format_exc())) from fault
    # No content beside a structured answer: the host adds its text form.
    return complete(content=[], structured=structured, is_error=False)


def complete(content: list, structured: str | None, is_error: bool) -> tool_types.Outcome:
    return tool_types.Outcome_Complete(
        tool_types.Reply(content=content, structured=structured, is_error=is_error, meta=None)
    )
