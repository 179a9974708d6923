// Stands in for `node-imports.js` of the protocols' own conformance suites, the only file of theirs
// that is replaced: it takes the modules from Debian's packages, and `fetch` from Node itself.

import { createRequire } from 'node:module';

const require = createRequire('/usr/share/nodejs/');
const chai = require('chai');

// The one method of chai-string that the suites call.
chai.use(({ Assertion }) => {
  Assertion.addMethod('startsWith', function (start) {
    this.assert(
      this._obj.startsWith(start),
      'expected #{this} to start with #{exp}',
      'expected #{this} not to start with #{exp}',
      start,
    );
  });
});

globalThis.WebSocket = require('ws').WebSocket;
globalThis.chai = chai;
