// The types of react.js.

import type { Notification, Options, ServerEvent, State, Stats } from './carillon.js';

/** incident-api's options; whatever else a client takes can be among them too. */
export interface HookOptions extends Options {
  onNotification?: (notification: Notification) => void;
  onStatsUpdate?: (stats: Stats) => void;
  onConnect?: () => void;
  onDisconnect?: () => void;
  onError?: (error: Error) => void;
  /** true */
  autoReconnect?: boolean;
  /** Milliseconds. 5000 */
  reconnectInterval?: number;
  /** 10 */
  maxReconnectAttempts?: number;
}

export interface HookResult {
  isConnected: boolean;
  connectionState: State;
  connect: () => void;
  disconnect: () => void;
  // deno-lint-ignore no-explicit-any -- Fields are read without a cast once `event` is known.
  lastMessage: ServerEvent<any> | null;
}

/**
 * Follows one user's notifications.
 *
 * All components of a page that name the same server and token share a connection, and it ends
 * with the last of them; how it reconnects is as the first of them says.
 *
 * A `token` that is a function has to be the same function with each rendering.
 */
export function useNotificationWebSocket(options?: HookOptions): HookResult;
