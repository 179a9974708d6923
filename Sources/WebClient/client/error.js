// @ts-check

/** What the server refused, or what never reached it: then `status` is 0. */
export class CarillonError extends Error {
  name = 'CarillonError';

  /**
   * @param {number} status of HTTP, or the close code of a WebSocket
   * @param {string} code
   * @param {string} message
   * @param {number} [retryAfter] milliseconds
   */
  constructor(status, code, message, retryAfter) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}
