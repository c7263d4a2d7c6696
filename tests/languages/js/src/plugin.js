// The three tools of the table of languages, in JavaScript: see tests/languages/README.md.

import { environment, plugin, Problem } from './gatehouse.js';

const nothing = { type: 'object', additionalProperties: false };
const ofOne = (name, type) => ({ type: 'object', properties: { [name]: { type } }, required: [name] });

const count = {
  name: 'count',
  title: 'Count',
  description: 'Counts to a number, and tells how far it has come.',
  input: {
    type: 'object',
    properties: { n: { type: 'integer', minimum: 0, maximum: 1000, description: 'How many steps.' } },
    required: ['n'],
    additionalProperties: false,
  },
  output: ofOne('count', 'integer'),

  run({ n }, call) {
    for (let done = 1; done <= n; done++) call.progress(done, n, 'counting');
    return { count: n };
  },
};

const ask = {
  name: 'ask',
  title: 'Ask',
  description: 'Asks the user for a name.',
  input: nothing,
  output: ofOne('name', 'string'),

  run(_, call) {
    const { name } = call.ask('name', 'What is your name?', ofOne('name', 'string'));
    return { name: String(name) };
  },
};

const variable = {
  name: 'variable',
  title: 'Variable',
  description: 'Reads the variable GREETING.',
  input: nothing,
  output: ofOne('greeting', 'string'),

  run() {
    const greeting = environment().GREETING;
    if (greeting === undefined) throw new Problem('The variable GREETING is not granted.');
    return { greeting };
  },
};

export const tools = plugin(count, ask, variable);
