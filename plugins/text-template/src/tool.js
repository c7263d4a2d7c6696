// Between plain functions and the contract, where arguments, schemas and structured results are JSON text.
//
// A tool is an object:
//   name, title, description   as they stand in `tools/list`; the description is written for the client's model
//   input, output              JSON Schemas; with `output` the tool answers with a value that fits it, without with a string
//   run(arguments)             does the work. Not `async`: a promise cannot cross a synchronous interface

/** Something that the client's model should read and can mend in its next call. */
export class Problem extends Error {}

/** A tool as it stands in `tools/list`. */
export function describe(tool) {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: JSON.stringify(tool.input),
    outputSchema: tool.output && JSON.stringify(tool.output),
    // True of every tool here: they compute, and touch nothing.
    annotations: { title: undefined, readOnly: true, destructive: undefined, idempotent: true, openWorld: false },
    icons: [],
    scopes: [],
    meta: undefined,
  };
}

/** Runs the tool that a call names. */
export function callTool(all, call) {
  const tool = all.find(({ name }) => name === call.tool);
  if (!tool) throw { tag: 'unknown-name' };
  try {
    // The host has checked the arguments against the schema.
    const answer = tool.run(JSON.parse(call.arguments));
    return complete(tool.output ? { structured: JSON.stringify(answer) } : { content: textContent(answer) });
  } catch (error) {
    if (error instanceof Problem) return complete({ content: textContent(error.message), isError: true });
    // A fault of ours: for the operator's log. Whatever is thrown otherwise would end the instance without a word.
    throw { tag: 'internal', val: `${error}\n${error?.stack ?? ''}` };
  }
}

const textContent = (text) => [{ tag: 'text', val: { text, annotations: undefined } }];

// No content beside a structured answer: the host adds its text form.
const complete = ({ content = [], structured, isError = false }) => ({
  tag: 'complete',
  val: { content, structured, isError, meta: undefined },
});
