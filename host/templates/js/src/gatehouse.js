// Between plain functions and the contract (`wit/tool.wit`), where arguments, schemas and structured results are JSON text. It is yours to
// change; the tools are in `plugin.js`.
//
// A tool is an object:
//   name, title, description   as they stand in `tools/list`; the description is written for the client's model
//   input, output              JSON Schemas; with `output` the tool answers with a value that fits it, without with a string
//   readOnly                   whether it changes nothing; true where it is left out
//   run(arguments, call)       does the work. Not `async`: a promise cannot cross a synchronous interface

import { report } from 'gatehouse:host/progress@0.1.0';
import { write } from 'gatehouse:host/log@0.1.0';
import { getEnvironment } from 'wasi:cli/environment@0.2.0';

/** Something that the client's model should read and can mend in its next call. */
export class Problem extends Error {}

/**
 * The variables that the side file asks for and the operator grants, by their names: what `process.env` is elsewhere. Only while a tool runs: there are none
 * when the component is built.
 */
export const environment = () => Object.fromEntries(getEnvironment());

/** The tool wants to be called again with answers. */
class Asking extends Error {
  constructor(ask) {
    super('asking');
    this.ask = ask;
  }
}

/** The gateway is to translate it for the client. */
class Failure extends Error {
  constructor(failure) {
    super(failure.tag);
    this.failure = failure;
  }
}

/** The call that a tool runs in. */
class Call {
  constructor(call) {
    this.client = call.client;
    // What was asked and answered in earlier rounds. Each runs in an instance of its own: the host keeps this in between.
    this.asked = [];
    this.answers = {};
    if (call.resume) {
      const dialog = JSON.parse(fromBytes(call.resume.state) || '{}');
      this.asked = dialog.asked ?? [];
      this.answers = dialog.answers ?? {};
      for (const [key, answer] of call.resume.answers) this.answers[key] = JSON.parse(answer);
    }
  }

  /** Tells how far it has come. */
  progress(done, total, message) {
    report(done, total, message);
  }

  /** A line for the operator, and for a client that wants lines of this level. */
  log(level, text) {
    write(level, undefined, JSON.stringify(text));
  }

  /** Asks the client's user to fill in a form: a flat object. Leaves the tool until there is an answer, and then runs it from its beginning. */
  ask(key, message, schema) {
    const answer = this.answers[key];
    if (answer !== undefined) {
      // Nobody has checked what was typed in.
      if (answer?.action !== 'accept' || typeof answer.content !== 'object') throw new Problem(`The user did not answer: ${message}`);
      const missing = (schema.required ?? []).filter((name) => !(name in answer.content));
      if (missing.length > 0) throw new Problem(`The user's answer lacks ${missing.join(', ')}.`);
      return answer.content;
    }
    if (this.asked.includes(key)) throw new Problem(`The user gave no answer: ${message}`);
    if (!this.client.elicitForm) throw new Failure({ tag: 'missing-client-feature', val: { elicitForm: true } });
    const form = { tag: 'elicit-form', val: { message, schema: JSON.stringify(schema) } };
    throw new Asking({ questions: [[key, form]], state: toBytes(JSON.stringify({ asked: [...this.asked, key], answers: this.answers })) });
  }
}

/** A plugin of tools, in the order of `tools/list`: the contract's interface `tools`. */
export function plugin(...all) {
  return {
    listTools: () => all.map(describe),

    callTool(call) {
      const tool = all.find(({ name }) => name === call.tool);
      if (!tool) throw { tag: 'unknown-name' };
      try {
        // The host has checked the arguments against the schema.
        const answer = tool.run(JSON.parse(call.arguments), new Call(call));
        return complete(tool.output ? { structured: JSON.stringify(answer) } : { content: text(answer) });
      } catch (error) {
        if (error instanceof Problem) return complete({ content: text(error.message), isError: true });
        if (error instanceof Asking) return { tag: 'input-required', val: error.ask };
        if (error instanceof Failure) throw error.failure;
        // A fault of the tool's: for the operator's log. Whatever is thrown otherwise would end the instance without a word.
        throw { tag: 'internal', val: `${error}\n${error?.stack ?? ''}` };
      }
    },
  };
}

function describe(tool) {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: JSON.stringify(tool.input),
    outputSchema: tool.output && JSON.stringify(tool.output),
    annotations: { title: undefined, readOnly: tool.readOnly ?? true, destructive: undefined, idempotent: undefined, openWorld: undefined },
    icons: [],
    scopes: [],
    meta: undefined,
  };
}

const text = (words) => [{ tag: 'text', val: { text: String(words), annotations: undefined } }];

// No content beside a structured answer: the host adds its text form.
const complete = ({ content = [], structured, isError = false }) => ({ tag: 'complete', val: { content, structured, isError, meta: undefined } });

// The engine has no TextEncoder: JSON text in ASCII, one byte for each character.
const toBytes = (json) =>
  Uint8Array.from(json.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`), (c) => c.charCodeAt(0));
const fromBytes = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
