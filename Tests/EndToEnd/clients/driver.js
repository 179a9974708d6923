// Socket.IO's own client, commanded by a test: the same file in Node and in a page.
//
// A command is a method of the driver, and its answer is what it returns or what that promises.
// Whatever the client tells goes into one log in the order in which it was told, and `take` gives
// the log out from a place on. JSON has no bytes: they travel as `{"$bytes": "…base64…"}`.
'use strict';

function makeDriver(io) {
  const log = [];
  const sockets = [];
  let wake = () => {};

  function tell(...entry) {
    log.push(packed(entry));
    wake();
  }

  function watch(socket) {
    const place = sockets.push(socket) - 1;
    socket.on('connect', () => tell(place, 'connect', socket.id, !!socket.recovered));
    socket.on('connect_error', (error) => tell(place, 'connect_error', error.message));
    socket.on('disconnect', (reason) => tell(place, 'disconnect', reason));
    socket.onAny((event, ...values) => tell(place, 'event', event, ...values));
    return place;
  }

  return {
    // Makes a socket with a connection of its own, and answers with its place.
    open(url, options) {
      return watch(io(url, { ...options, forceNew: true }));
    },

    // Makes a socket of another namespace over the connection of one that is there.
    openBeside(place, namespace, options) {
      return watch(sockets[place].io.socket(namespace, options));
    },

    // Runs the page of ghostpay's document; what it shows is in the log.
    openPage(server, token) {
      const place = sockets.length;
      const show = (...shown) => tell(place, ...shown);
      sockets.push(globalThis.ghostPayPage(io, server, token, show));
      return place;
    },

    // The log from `start` on, as soon as there is anything, or what there is after `within` ms.
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

    emit(place, event, ...values) {
      sockets[place].emit(event, ...unpacked(values));
    },

    // Emits, and answers with the arguments of the acknowledgement; null: there was none in time.
    call(place, within, event, ...values) {
      return new Promise((resolve) => {
        const socket = sockets[place].timeout(within);
        socket.emit(event, ...unpacked(values), (error, ...answer) => {
          resolve(error ? null : packed(answer));
        });
      });
    },

    state(place) {
      const socket = sockets[place];
      const transport = socket.io.engine && socket.io.engine.transport;
      return {
        id: socket.id ?? null,
        connected: socket.connected,
        recovered: !!socket.recovered,
        transport: transport ? transport.name : null,
      };
    },

    // What the client hands over when it connects again.
    present(place, auth) {
      sockets[place].auth = auth;
    },

    connect(place) {
      sockets[place].connect();
    },

    disconnect(place) {
      sockets[place].disconnect();
    },

    close() {
      sockets.forEach((socket) => socket.disconnect());
    },

    // Ends the connection beneath, which the client then makes anew.
    closeEngine(place) {
      sockets[place].io.engine.close();
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
