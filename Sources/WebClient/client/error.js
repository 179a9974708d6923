// @ts-check

/** A refusal by the server, or a request that did not reach it: then `status` is 0. */
export class CarillonError extends Error {
  name = 'CarillonError';

  constructor(status, code, message, retryAfter = undefined, address = undefined) {
    super(message);
    Object.assign(this, { status, code, retryAfter, address });
  }
}
