"""Tools for numbers and dates, and a pattern to copy: one file for each tool, tool.py for what they share, and this file to name them all.

`Tools` is the exported interface of the contract (../../wit/tool/tool.wit). componentize-py makes `wit_world` from it while building;
`componentize-py -d ../../wit/tool -w tool-plugin bindings build/bindings` writes it down for an editor.
"""

from wit_world import exports
from wit_world.imports import tool_types

import tool
from tool_date_difference import DATE_DIFFERENCE
from tool_statistics import STATISTICS

ALL = [STATISTICS, DATE_DIFFERENCE]


class Tools(exports.Tools):
    def list_tools(self) -> list[tool_types.Tool]:
        return [one.describe() for one in ALL]

    def call_tool(self, call: tool_types.Call) -> tool_types.Outcome:
        return tool.call(ALL, call)
