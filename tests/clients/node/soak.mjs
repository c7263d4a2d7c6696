// One call after the other, with progress, over connections that somebody cuts.
//
// Usage: node soak.mjs URL v1|v2 CALLS
//
// Prints one JSON object: what each call gave, in order. Nothing here repeats a call or judges an answer: the Rust test does.

import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as v2 from '@modelcontextprotocol/client';

const [url, sdk, calls] = process.argv.slice(2);
const info = { name: 'gatehouse-soak', version: '1.0.0' };
// The SDK's default gives up after two attempts, about as long as a gateway needs to start.
const reconnectionOptions = { initialReconnectionDelay: 50, maxReconnectionDelay: 500, reconnectionDelayGrowFactor: 1.2, maxRetries: 50 };
const old = sdk === 'v1';
const transport = new (old ? TransportV1 : v2.StreamableHTTPClientTransport)(new URL(url), { reconnectionOptions });
const client = old ? new v1.Client(info) : new v2.Client(info, { versionNegotiation: { mode: 'legacy' } });
client.onerror = (error) => console.error(`onerror: ${error.message}`);
await client.connect(transport);

const results = [];
for (let number = 0; number < Number(calls); number += 1) {
  const progress = [];
  const options = { timeout: 60_000, onprogress: ({ progress: done }) => progress.push(done) };
  const params = { name: 'slow_count', arguments: { message: `call ${number}`, n: 5, interval_ms: 10 } };
  try {
    const result = old ? await client.callTool(params, undefined, options) : await client.callTool(params, options);
    results.push({ progress, text: result.content?.[0]?.text ?? null });
  } catch (error) {
    console.error(`call ${number}: ${error.stack}`);
    results.push({ progress, error: error.code ?? String(error) });
  }
}
process.stdout.write(`${JSON.stringify({ results })}\n`, () => process.exit(0));
