// Socket.IO's own client, controlled by a test: the same file runs in Node and in a page.
//
// A command is a method of the driver, and its answer is the return value, awaited if it is a
// promise. One log holds the events of all sockets in the order of arrival; `take` returns the log
// from an index on. JSON has no bytes: they are encoded as `{"$bytes": "…base64…"}`.
'use strict';

function makeDriver(io) {
  const log = [];
  const sockets = [];
  let wake = () => {};

  function record(...entry) {
    log.push(packed(entry));
    wake();
  }

  function watch(socket) {
    const index = sockets.push(socket) - 1;
    socket.on('connect', () => record(index, 'connect', socket.id, !!socket.recovered));
    socket.on('connect_error', (error) => record(index, 'connect_error', error.message));
    socket.on('disconnect', (reason) => record(index, 'disconnect', reason));
    socket.onAny((event, ...values) => record(index, 'event', event, ...values));
    return index;
  }

  return {
    // Opens a socket with its own connection, and answers with its index.
    open(url, options) {
      return watch(io(url, { ...options, forceNew: true }));
    },

    // Opens a socket of another namespace over the connection of an existing one.
    openBeside(index, namespace, options) {
      return watch(sockets[index].io.socket(namespace, options));
    },

    // Runs the page of ghostpay's document and logs its output.
    openPage(server, token) {
      const index = sockets.length;
      const show = (...shown) => record(index, ...shown);
      sockets.push(globalThis.ghostPayPage(io, server, token, show));
      return index;
    },

    // Answers with the log from `start` on, as soon as it has an entry or after `within` ms.
    take(start, within) {
      return new Promise((resolve) => {
        const answer = () => resolve(log.slice(start));
        if (log.length > start) {
          answer();
          return;
        }
        const timer = setTimeout(answer, within);
        wake = () => {
          clearTimeout(timer);
          wake = () => {};
          answer();
        };
      });
    },

    emit(index, event, ...values) {
      sockets[index].emit(event, ...unpacked(values));
    },

    // Emits, and answers with the arguments of the acknowledgement, or null after `within` ms.
    call(index, within, event, ...values) {
      return new Promise((resolve) => {
        const socket = sockets[index].timeout(within);
        socket.emit(event, ...unpacked(values), (error, ...answer) => {
          resolve(error ? null : packed(answer));
        });
      });
    },

    state(index) {
      const socket = sockets[index];
      const transport = socket.io.engine && socket.io.engine.transport;
      return {
        id: socket.id ?? null,
        connected: socket.connected,
        recovered: !!socket.recovered,
        transport: transport ? transport.name : null,
      };
    },

    // Sets the `auth` payload of the next connect.
    present(index, auth) {
      sockets[index].auth = auth;
    },

    connect(index) {
      sockets[index].connect();
    },

    disconnect(index) {
      sockets[index].disconnect();
    },

    close() {
      sockets.forEach((socket) => socket.disconnect());
    },

    // Closes the underlying Engine.IO connection; the client then opens a new one.
    closeEngine(index) {
      sockets[index].io.engine.close();
    },
  };
}

function packed(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
    return { $bytes: btoa(String.fromCharCode(...bytes)) };
  }
  return mapped(value, packed);
}

function unpacked(value) {
  if (value !== null && typeof value === 'object' && typeof value.$bytes === 'string') {
    return Uint8Array.from(atob(value.$bytes), (character) => character.charCodeAt(0)).buffer;
  }
  return mapped(value, unpacked);
}

function mapped(value, change) {
  if (Array.isArray(value)) {
    return value.map(change);
  }
  if (value !== null && typeof value === 'object') {
    const pairs = Object.entries(value).map(([name, each]) => [name, change(each)]);
    return Object.fromEntries(pairs);
  }
  return value ?? null;
}

globalThis.makeDriver = makeDriver;
