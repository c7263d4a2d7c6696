// The fixed series of steps that both Node clients run, and the one JSON object that they print.
//
// The two SDKs share the part of their `Client` class that is used here, so a program hands over a
// connected client and keeps for itself only what differs: how to connect and how to say goodbye.
// Nothing here judges an answer: the Rust test does. What is not an answer (a transport failure, a
// result that the SDK refuses to hand out) is thrown, and ends the program with its stack.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const TIME_LIMIT_MS = 60_000;

/** Reads `URL [MODE] [--token TOKEN]`; `modes` lists what MODE may be, none when empty. */
export function readCommandLine(modes = []) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { token: { type: 'string' } },
  });
  const [url, mode] = positionals;
  const expected = modes.length === 0 ? 1 : 2;
  if (positionals.length !== expected || (modes.length > 0 && !modes.includes(mode))) {
    const usage = modes.length === 0 ? 'URL' : `URL ${modes.join('|')}`;
    console.error(`usage: ${process.argv[1]} ${usage} [--token TOKEN]`);
    process.exit(2);
  }
  return { url: new URL(url), mode: mode ?? 'default', token: values.token };
}

/**
 * A `fetch` that passes everything through untouched, tells stderr about each exchange, and
 * remembers how DELETE was answered and when the GET stream stood: neither SDK lets its caller see that.
 */
export function observingFetch() {
  const { promise: streamOpened, resolve: streamIsOpen } = Promise.withResolvers();
  const seen = { deleteStatus: undefined, streamOpened };
  const fetchAndTell = async (url, init) => {
    const method = init?.method ?? 'GET';
    const sent = typeof init?.body === 'string' ? JSON.parse(init.body) : {};
    const response = await fetch(url, init);
    const type = response.headers.get('content-type') ?? '-';
    console.error(`${method} ${sent.method ?? '-'} -> ${response.status} ${type}`);
    if (method === 'DELETE') seen.deleteStatus = response.status;
    if (method === 'GET' && response.ok) streamIsOpen();
    return response;
  };
  return { seen, fetch: fetchAndTell };
}

/**
 * Runs the series and prints the outcome.
 *
 * - `packageName`: the npm package under test; its version is read from what is installed.
 * - `client`: the SDK's client, not yet connected.
 * - `connect()`: connects it and resolves to `{ era, protocolVersion }`.
 * - `callTool(params, options)`: `client.callTool`, whose parameters differ between the SDKs.
 * - `ProtocolError`: the SDK's class for a JSON-RPC error that came back for a request.
 * - `end()`: closes the connection and resolves to the text for `ended`.
 */
export async function run({ packageName, mode, client, connect, callTool, ProtocolError, end }) {
  const limit = setTimeout(() => {
    console.error(`the series did not end within ${TIME_LIMIT_MS} ms`);
    process.exit(3);
  }, TIME_LIMIT_MS);

  // A failure of the standalone stream reaches only this handler, and is worth a line.
  client.onerror = (error) => console.error(`onerror: ${error.message}`);
  const { era, protocolVersion } = await connect();

  const call = (name, args, options) => callTool({ name, arguments: args }, options);
  const answerOrError = async (name, args) => {
    try {
      return { result: await call(name, args) };
    } catch (error) {
      if (error instanceof ProtocolError) return { error };
      throw error;
    }
  };

  const tools = await toolNames(client);
  const echoed = await call('echo', { message: 'hello – ünïcödé' });
  const stats = await call('word_stats', { text: 'one two two' });
  const refused = await call('regex_extract', { pattern: '(', text: 'x' });

  const progress = [];
  const counted = await call(
    'slow_count',
    { message: 'done', n: 3, interval_ms: 20 },
    { onprogress: ({ progress: done, total, message }) => progress.push({ progress: done, total, message }) },
  );

  const unknown = await answerOrError('no_such_tool', {});
  const bad = await answerOrError('echo', { message: 5 });
  const { name, version } = client.getServerVersion() ?? {};

  const report = {
    client: `${packageName} ${installedVersion(packageName)}`,
    mode,
    era,
    protocol_version: protocolVersion,
    server: name === undefined ? null : { name, version },
    tools,
    text: firstText(echoed),
    structured: stats.structuredContent ?? null,
    failure: { is_error: refused.isError ?? false, text: firstText(refused) },
    progress,
    progress_result: firstText(counted),
    unknown_tool: unknown.error
      ? { code: unknown.error.code, message: unknown.error.message }
      : { code: null, message: firstText(unknown.result) },
    bad_arguments: bad.error
      ? { is_error: null, text: bad.error.message, code: bad.error.code }
      : { is_error: bad.result.isError ?? false, text: firstText(bad.result), code: null },
    ended: await end(),
  };
  clearTimeout(limit);
  // Leave at once: a client may hold a reconnect timer for a stream that nobody reads any more.
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

async function toolNames(client) {
  const names = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? undefined : { cursor });
    names.push(...page.tools.map((tool) => tool.name));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return names;
}

function firstText(result) {
  return result.content?.[0]?.text ?? null;
}

// Read beside this file: the installer copies the programs next to their node_modules.
export function installedVersion(packageName) {
  const manifest = new URL(`./node_modules/${packageName}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}
