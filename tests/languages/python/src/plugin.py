"""The three tools of the table of languages, in Python: see tests/languages/README.md."""

import os

from gatehouse import Call, Plugin, Problem, Tool


def count(call: Call, n: int) -> dict:
    for done in range(1, n + 1):
        call.progress(done, n, "counting")
    return {"count": n}


def ask(call: Call) -> dict:
    form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    return {"name": str(call.ask("name", "What is your name?", form)["name"])}


def variable(call: Call) -> dict:
    if "GREETING" not in os.environ:
        raise Problem("The variable GREETING is not granted.")
    return {"greeting": os.environ["GREETING"]}


NOTHING = {"type": "object", "additionalProperties": False}


def of_one(name: str, kind: str) -> dict:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


Tools = Plugin(
    Tool(
        name="count",
        title="Count",
        description="Counts to a number, and tells how far it has come.",
        input={
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 1000, "description": "How many steps."}},
            "required": ["n"],
            "additionalProperties": False,
        },
        output=of_one("count", "integer"),
        run=count,
    ),
    Tool(
        name="ask",
        title="Ask",
        description="Asks the user for a name.",
        input=NOTHING,
        output=of_one("name", "string"),
        run=ask,
    ),
    Tool(
        name="variable",
        title="Variable",
        description="Reads the variable GREETING.",
        input=NOTHING,
        output=of_one("greeting", "string"),
        run=variable,
    ),
)
