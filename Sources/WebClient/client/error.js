// @ts-check

/** What the server refused, or what never reached it: then `status` is 0. */
export class CarillonError extends Error {
  name = 'CarillonError';

  constructor(status, code, message, retryAfter = undefined) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}
