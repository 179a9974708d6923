// Runs the driver in Node: it reads commands as JSON lines and writes answers as JSON lines, in
// order.
//
// The client is built for browsers, so it needs their WebSocket, XMLHttpRequest and FileReader. As
// React Native it also passes its extra headers to the WebSocket, as the client for Node does.
'use strict';

const [, , clientPath] = process.argv;
Object.defineProperty(globalThis, 'navigator', { value: { product: 'ReactNative' } });
globalThis.WebSocket = require('ws').WebSocket;
globalThis.XMLHttpRequest = require('xmlhttprequest').XMLHttpRequest;
globalThis.FileReader = class {
  async readAsDataURL(blob) {
    const bytes = Buffer.from(await blob.arrayBuffer());
    this.result = `data:${blob.type};base64,${bytes.toString('base64')}`;
    this.onload();
  }
};
require('./ghostpay.js');
require('./driver.js');

const driver = globalThis.makeDriver(require(clientPath));
const lines = require('readline').createInterface({ input: process.stdin });

lines.on('line', async (line) => {
  const [command, ...values] = JSON.parse(line);
  const answer = await driver[command](...values);
  process.stdout.write(JSON.stringify(answer ?? null) + '\n');
});
// The test closed the pipe. Exit explicitly: a client that still reconnects would keep Node alive.
lines.on('close', () => process.exit(0));
