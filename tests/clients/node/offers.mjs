// Everything but plain calls, by both Node packages: resources, prompts, completion, questions to the client, progress, logs, cancellation,
// subscriptions, and lists that change.
//
// Usage: node offers.mjs URL v1|legacy|pinned
//
// v1: `@modelcontextprotocol/sdk` 1.x. legacy, pinned: `@modelcontextprotocol/client` 2.x by `initialize`, or insisting on 2026-07-28.
//
// Prints `listening` on a line of its own as soon as it would hear that a list changes, and goes on when the tools have changed: whoever
// runs it must then change them. Afterwards one JSON object; README.md describes it. An answer is judged by the Rust test; what does not
// come within its time ends the program with a line that says what.

import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as schemas from '@modelcontextprotocol/sdk/types.js';
import * as v2 from '@modelcontextprotocol/client';
import { installedVersion, observingFetch, readCommandLine } from './steps.mjs';

const TIME_LIMIT_MS = 60_000;
const WAIT_LIMIT_MS = 20_000;
const WATCHED = 'test://watched-resource';
const SCHEMAS = {
  'elicitation/create': schemas.ElicitRequestSchema,
  'sampling/createMessage': schemas.CreateMessageRequestSchema,
  'roots/list': schemas.ListRootsRequestSchema,
  'notifications/message': schemas.LoggingMessageNotificationSchema,
  'notifications/resources/updated': schemas.ResourceUpdatedNotificationSchema,
  'notifications/tools/list_changed': schemas.ToolListChangedNotificationSchema,
  'notifications/prompts/list_changed': schemas.PromptListChangedNotificationSchema,
  'notifications/resources/list_changed': schemas.ResourceListChangedNotificationSchema,
};

const { url, mode } = readCommandLine(['v1', 'legacy', 'pinned']);
setTimeout(() => fail(`the series did not end within ${TIME_LIMIT_MS} ms`), TIME_LIMIT_MS).unref();
const old = mode === 'v1';
const modern = mode === 'pinned';

const { fetch, seen } = observingFetch();
const transport = new (old ? TransportV1 : v2.StreamableHTTPClientTransport)(url, { fetch });
const info = { name: 'gatehouse-test', version: '1.0.0' };
const capabilities = { elicitation: {}, sampling: {}, roots: {} };
const versionNegotiation = { mode: modern ? { pin: '2026-07-28' } : 'legacy' };
const client = old ? new v1.Client(info, { capabilities }) : new v2.Client(info, { capabilities, versionNegotiation });
client.onerror = (error) => console.error(`onerror: ${error.message}`);

const heard = mailbox();
const asked = { elicitation: 0, sampling: 0, roots: 0 };
answer('elicitation/create', ({ params }) => {
  asked.elicitation += 1;
  if (params.message.includes('decline')) return { action: 'decline' };
  const fields = Object.entries(params.requestedSchema.properties);
  return { action: 'accept', content: Object.fromEntries(fields.map(([name]) => [name, `my ${name}`])) };
});
answer('sampling/createMessage', ({ params }) => {
  asked.sampling += 1;
  return { model: 'none', role: 'assistant', content: { type: 'text', text: `To "${textOf(params.messages[0].content)}": yes` } };
});
answer('roots/list', () => {
  asked.roots += 1;
  return { roots: [{ uri: 'file:///srv/project', name: 'project' }] };
});
hear('notifications/message', ({ params }) => ['log', `${params.level}: ${params.data}`]);
hear('notifications/resources/updated', ({ params }) => ['updated', params.uri]);
for (const list of ['tools', 'prompts', 'resources']) hear(`notifications/${list}/list_changed`, () => ['changed', list]);

await client.connect(transport);
const report = {
  client: `${packageName()} ${installedVersion(packageName())}`,
  mode,
  // The older SDK knows only the handshake, so the era is not a question that it can answer.
  era: old ? 'legacy' : client.getProtocolEra(),
  ...(await resources()),
  ...(await prompts()),
  ...(await questions()),
  ...(await notifications()),
  ...(await cancellation()),
  ...(await changes()),
};
// Sends nothing when there is no session, as in the modern era.
await transport.terminateSession();
await client.close();
report.ended = seen.deleteStatus === undefined ? 'n/a' : `DELETE ${seen.deleteStatus}`;
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));

async function resources() {
  const read = async (uri) => (await client.readResource({ uri })).contents[0];
  return {
    resources: (await client.listResources()).resources.map(({ uri }) => uri),
    templates: (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    resource: (await read('test://static-text')).text,
    binary: (await read('test://static-binary')).blob,
    from_template: (await read('test://template/7/data')).text,
    no_resource: await refusal(read('test://template/long/data')),
  };
}

async function prompts() {
  const messages = async (name, args) => (await client.getPrompt({ name, arguments: args })).messages.map(({ content }) => content);
  const complete = async (ref, name, value) => (await client.complete({ ref, argument: { name, value } })).completion;
  const image = (await messages('test_prompt_with_image', {}))[0];
  const many = await complete({ type: 'ref/resource', uri: 'test://template/{id}/data' }, 'id', '');
  return {
    prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
    prompt: textOf((await messages('test_prompt_with_arguments', { arg1: 'one', arg2: 'two' }))[0]),
    prompt_image: `${image.type} ${image.mimeType} ${image.data}`,
    no_prompt: await refusal(messages('no_such_prompt', {})),
    completion: (await complete({ type: 'ref/prompt', name: 'test_prompt_with_arguments' }, 'arg1', 'par')).values,
    completion_many: { count: many.values.length, total: many.total, has_more: many.hasMore },
  };
}

/** Tools, a prompt and a resource that ask: by requests of the server's in one era, by answers that are no end in the other. */
async function questions() {
  const text = async (tool, args) => textOf((await call(tool, args)).content[0]);
  const prompt = await client.getPrompt({ name: 'test_input_required_result_prompt', arguments: {} });
  return {
    elicitation: await text('test_elicitation', { message: 'Who are you?' }),
    declined: await text('test_elicitation', { message: 'Please decline' }),
    elicitation_again: await text('test_input_required_result_elicitation'),
    two_rounds: await text('test_input_required_result_multi_round'),
    sampling: await text('test_sampling', { prompt: 'Is it?' }),
    sampling_again: await text('test_input_required_result_sampling'),
    roots: await text('test_input_required_result_list_roots'),
    three_kinds: await text('test_input_required_result_multiple_inputs'),
    prompt_asks: textOf(prompt.messages[0].content),
    resource_asks: (await client.readResource({ uri: 'test://asks' })).contents[0].text,
    asked,
  };
}

async function notifications() {
  const progress = [];
  await call('test_tool_with_progress', {}, { onprogress: ({ progress: done, total }) => progress.push([done, total]) });
  // A level is the session's in one era and the call's in the other.
  if (!modern) await client.setLoggingLevel('info');
  const logged = { name: 'test_tool_with_logging', arguments: {} };
  await callTool(modern ? { ...logged, _meta: { 'io.modelcontextprotocol/logLevel': 'info' } } : logged);
  await heard.wait('three log lines', () => heard.of('log').length >= 3);
  return { progress, logs: heard.of('log') };
}

/** The gateway has one slot: while a call holds it, another one is refused, and afterwards is not. */
async function cancellation() {
  const stop = new AbortController();
  const spinning = call('spin', {}, { signal: stop.signal }).then(() => 'answered', () => 'rejected');
  await until('the slot is taken', async () => (await slotIsFree()) === false);
  stop.abort('nobody needs it');
  const cancelled = await spinning;
  await until('the slot is free again', slotIsFree);
  return { cancelled };
}

async function slotIsFree() {
  try {
    await call('test_simple_text');
    return true;
  } catch (error) {
    // A status that is no success is an error of the transport to both, whatever the body says; they keep that in the message.
    if (String(error.message).includes('-31004')) return false;
    throw error;
  }
}

async function changes() {
  if (modern) {
    const lists = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
    await client.listen({ ...lists, resourceSubscriptions: [WATCHED] });
  } else {
    await bounded('the stream of the session opens', seen.streamOpened);
    await client.subscribeResource({ uri: WATCHED });
  }
  await call('test_touch_resource', { uri: WATCHED });
  await heard.wait('an update', () => heard.of('updated').length > 0);

  const before = (await client.listTools()).tools.length;
  console.log('listening');
  await heard.wait('a change of the tools', () => heard.of('changed').includes('tools'));
  const added = (await client.listTools()).tools.slice(before).map(({ name }) => name);

  const swapped = heard.of('changed');
  heard.clear('changed');
  // Each list is another one each time that it is asked for, which is when the component says so.
  for (const list of ['tool', 'prompt', 'resource']) await call(`test_trigger_${list}_change`);
  await heard.wait('a change of every list', () => new Set(heard.of('changed')).size === 3);
  return { updated: heard.of('updated'), swapped, added, triggered: heard.of('changed').sort() };
}

function packageName() {
  return old ? '@modelcontextprotocol/sdk' : '@modelcontextprotocol/client';
}

function callTool(params, options) {
  // `undefined` stands for the SDK's own schema of a tool result.
  return old ? client.callTool(params, undefined, options) : client.callTool(params, options);
}

function call(name, args = {}, options = undefined) {
  return callTool({ name, arguments: args }, options);
}

function answer(method, handler) {
  client.setRequestHandler(old ? SCHEMAS[method] : method, handler);
}

function hear(method, letter) {
  client.setNotificationHandler(old ? SCHEMAS[method] : method, (notification) => heard.put(...letter(notification)));
}

/** The code of the error that must come in place of an answer. */
async function refusal(promise) {
  const outcome = await promise.then((value) => ({ value }), (error) => ({ error }));
  if (!(outcome.error instanceof (old ? schemas.McpError : v2.ProtocolError))) throw outcome.error ?? new Error('it was answered');
  return outcome.error.code;
}

/** What notifications said, by kind, and a way to wait for more of it. */
function mailbox() {
  const letters = {};
  const waiting = new Set();
  return {
    of: (kind) => letters[kind] ?? [],
    clear: (kind) => (letters[kind] = []),
    put(kind, letter) {
      (letters[kind] ??= []).push(letter);
      for (const look of waiting) look();
    },
    wait(what, there) {
      const { promise, resolve } = Promise.withResolvers();
      const look = () => there() && resolve();
      waiting.add(look);
      look();
      return bounded(what, promise).finally(() => waiting.delete(look));
    },
  };
}

async function until(what, ask) {
  const end = Date.now() + WAIT_LIMIT_MS;
  while (!(await bounded(what, ask()))) if (Date.now() > end) fail(`${what}: not within ${WAIT_LIMIT_MS} ms`);
}

function bounded(what, promise) {
  const timer = setTimeout(() => fail(`${what}: not within ${WAIT_LIMIT_MS} ms`), WAIT_LIMIT_MS);
  return promise.finally(() => clearTimeout(timer));
}

function fail(what) {
  console.error(what);
  process.exit(3);
}

function textOf(content) {
  return content?.text ?? null;
}
