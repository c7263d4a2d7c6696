// Tools for text, and a pattern to copy: one file for each tool, tool.js for what they share, and this file to name them all.
//
// `tools` is the exported interface of the contract (../../wit/tool/tool.wit): names in camelCase, variants as `{ tag, val }`, an error as
// something thrown.

import { callTool, describe } from './tool.js';
import { parseCsv } from './parse_csv.js';
import { renderTemplate } from './render_template.js';

const all = [renderTemplate, parseCsv];

export const tools = {
  listTools: () => all.map(describe),
  callTool: (call) => callTool(all, call),
};
