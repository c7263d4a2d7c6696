// npm `@modelcontextprotocol/sdk` 1.x: the handshake era, with a session and a GET stream.
//
// Usage: node sdk-v1.mjs URL [--token TOKEN]

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { observingFetch, readCommandLine, run } from './steps.mjs';

const { url, mode, token } = readCommandLine();
const { fetch, seen } = observingFetch();
const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
const transport = new StreamableHTTPClientTransport(url, { fetch, requestInit: { headers } });
const client = new Client({ name: 'gatehouse-test', version: '1.0.0' });

await run({
  packageName: '@modelcontextprotocol/sdk',
  mode,
  client,
  ProtocolError: McpError,
  // `undefined` stands for the SDK's own schema of a tool result.
  callTool: (params, options) => client.callTool(params, undefined, options),
  connect: async () => {
    await client.connect(transport);
    // This SDK knows only the handshake, so the era is not a question that it can answer.
    return { era: 'legacy', protocolVersion: transport.protocolVersion };
  },
  end: async () => {
    await transport.terminateSession();
    await client.close();
    return seen.deleteStatus === undefined ? 'n/a' : `DELETE ${seen.deleteStatus}`;
  },
});
