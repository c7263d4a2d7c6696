// npm `@modelcontextprotocol/client` 2.x in each of its ways to settle the protocol version.
//
// Usage: node client-v2.mjs URL legacy|auto|pinned [--token TOKEN]
//
// legacy: `initialize`, the SDK's default. auto: `server/discover`, and `initialize` when the
// answer is not modern. pinned: `server/discover`, and failure when it lacks 2026-07-28.

import { Client, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { observingFetch, readCommandLine, run } from './steps.mjs';

const NEGOTIATION = { legacy: 'legacy', auto: 'auto', pinned: { pin: '2026-07-28' } };

const { url, mode, token } = readCommandLine(Object.keys(NEGOTIATION));
const { fetch, seen } = observingFetch();
const authProvider = token === undefined ? undefined : { token: async () => token };
const transport = new StreamableHTTPClientTransport(url, { fetch, authProvider });
const client = new Client(
  { name: 'gatehouse-test', version: '1.0.0' },
  { versionNegotiation: { mode: NEGOTIATION[mode] } },
);

await run({
  packageName: '@modelcontextprotocol/client',
  mode,
  client,
  ProtocolError,
  callTool: (params, options) => client.callTool(params, options),
  connect: async () => {
    await client.connect(transport);
    return {
      era: client.getProtocolEra(),
      protocolVersion: client.getNegotiatedProtocolVersion(),
    };
  },
  end: async () => {
    // Sends nothing when there is no session, as in the modern era.
    await transport.terminateSession();
    await client.close();
    return seen.deleteStatus === undefined ? 'n/a' : `DELETE ${seen.deleteStatus}`;
  },
});
