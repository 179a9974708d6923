// A WebSocket of the package `ws`, as its documentation shows it. Prints each event as a JSON line,
// and closes the connection at the end of the standard input.
'use strict';

const { WebSocket } = require('ws');

const print = (...event) => process.stdout.write(JSON.stringify(event) + '\n');
const [url, protocols, options] = process.argv.slice(2).map((each) => JSON.parse(each));
const socket = new WebSocket(url, protocols, options);

socket.on('open', () => {
  print('open', socket.protocol, socket.extensions);
  socket.ping('are you there?');
});
socket.on('pong', (data) => print('pong', `${data}`));
socket.on('message', (data, isBinary) => print('message', JSON.parse(data), isBinary));
socket.on('close', (code, reason) => {
  print('close', code, `${reason}`);
  process.stdin.destroy();
});
socket.on('error', (error) => print('error', error.message));
process.stdin.on('end', () => socket.close(1000, 'done')).resume();
