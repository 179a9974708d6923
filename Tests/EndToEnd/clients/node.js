// Runs the driver in Node: commands come in as JSON lines, answers go out as JSON lines, in order.
//
// The client is built for browsers; what it misses here are their two ways to the network, and a
// way to read bytes. As React Native's it hands its extra headers to the WebSocket too, as the
// client that is built for Node does.
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
// The test has closed the pipe; a client that still tries to connect must not keep it here.
lines.on('close', () => process.exit(0));
