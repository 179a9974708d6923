// An EventSource of the package `eventsource`, as its documentation shows it. Prints each event as
// a JSON line, and closes the stream at the end of the standard input.
'use strict';

const EventSource = require('eventsource');

const print = (...event) => process.stdout.write(JSON.stringify(event) + '\n');
const [url, headers] = process.argv.slice(2).map((each) => JSON.parse(each));
const source = new EventSource(url, { headers });

source.onopen = () => print('open');
source.onmessage = ({ data, lastEventId }) => print('message', JSON.parse(data), lastEventId);
source.onerror = ({ status }) => {
  print('error', status);
  if (source.readyState === EventSource.CLOSED) process.stdin.destroy();
};
process.stdin.on('end', () => source.close()).resume();
