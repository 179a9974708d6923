// @ts-check
// The hook that incident-api uses, for React 18 or newer.
//
// React is the one passed to `configure({ React })`, else the global one.

import { Carillon, settings } from './carillon.js';
import { identityOf } from './transports.js';

/** Clients in use: a page has one for each server and user. */
const clients = new Set();

/** Returns a client shared by several components; the last one to release it closes it. */
const take = ({ url, token, ...options }) => {
  const key = `${url} ${typeof token === 'string' ? identityOf(token) : ''}`;
  const source = typeof token === 'string' ? undefined : token;
  let shared = [...clients].find((each) => each.key === key && each.source === source);
  if (shared) {
    shared.client.setToken(token);
  } else {
    shared = { key, source, client: new Carillon({ url, token, ...options }), count: 0 };
    clients.add(shared);
  }
  shared.count++;
  clearTimeout(shared.ending);
  return shared;
};

const release = (shared) => {
  if (--shared.count) return;
  // Delay the close: a component that React unmounts and mounts again at once keeps its connection.
  shared.ending = setTimeout(() => {
    clients.delete(shared);
    shared.client.close();
  });
};

/** @type {import('./react.js').useNotificationWebSocket} */
export const useNotificationWebSocket = (options = {}) => {
  const React = settings().React ?? globalThis.React;
  const { useCallback, useEffect, useRef, useState } = React;
  const { React: _, ...common } = settings();
  // deno-lint-ignore no-unused-vars -- Named to keep them out of `own`: clients take no handlers.
  const { onNotification, onStatsUpdate, onConnect, onDisconnect, onError, ...own } = options;
  const { url, token, autoReconnect, reconnectInterval, maxReconnectAttempts = 10 } = {
    ...common,
    ...own,
  };

  const [connectionState, setState] = useState('disconnected');
  const [lastMessage, setLastMessage] = useState(null);
  const shared = useRef(undefined);
  const last = useRef(undefined);
  // Handlers are new functions on each render and must not cause a reconnect.
  const handlers = useRef(options);
  useEffect(() => {
    handlers.current = options;
  });

  useEffect(() => {
    if (!token) {
      // The page removed the token, or there is none yet.
      last.current?.disconnect();
      last.current = undefined;
      setLastMessage(null);
      return undefined;
    }
    const mine = take({
      ...common,
      ...own,
      url,
      token,
      autoReconnect,
      reconnectInterval,
      maxReconnectAttempts,
    });
    const { client } = mine;
    shared.current = mine;
    if (last.current && last.current !== client) setLastMessage(null);
    last.current = client;
    let isConnected = false;
    const follow = (state) => {
      setState(state);
      if (isConnected === (state === 'connected')) return;
      isConnected = !isConnected;
      handlers.current[isConnected ? 'onConnect' : 'onDisconnect']?.();
    };
    const listeners = {
      state: follow,
      notification: (data) => handlers.current.onNotification?.(data),
      stats: (data) => handlers.current.onStatsUpdate?.(data),
      error: (error) => handlers.current.onError?.(error),
      event: setLastMessage,
      reset: () => setLastMessage(null),
    };
    const ending = new AbortController();
    for (const [name, run] of Object.entries(listeners)) {
      client.addEventListener(name, ({ detail }) => run(detail), { signal: ending.signal });
    }
    if (client.state === 'disconnected') client.connect();
    // A component that joins a running client gets the current state. In strict mode React unmounts
    // a new component at once, so check in a microtask that it is still mounted.
    queueMicrotask(() => {
      if (ending.signal.aborted) return;
      follow(client.state);
      if (client.stats) handlers.current.onStatsUpdate?.(client.stats);
    });
    return () => {
      ending.abort();
      shared.current = undefined;
      follow('disconnected');
      release(mine);
    };
  }, [url, token, autoReconnect, reconnectInterval, maxReconnectAttempts]);

  const connect = useCallback(() => shared.current?.client.connect(), []);
  const disconnect = useCallback(() => shared.current?.client.pause(), []);
  const isConnected = connectionState === 'connected';
  return { isConnected, connectionState, connect, disconnect, lastMessage };
};
