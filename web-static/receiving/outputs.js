/** What the protocol wants done, one after the other. */
export class Outputs {
  #session;
  /** What was put off. @type {any[]} */
  #waiting = [];

  /** @param {import('../wire/wire.js').Session} session */
  constructor(session) {
    this.#session = session;
  }

  /** @returns {any}  See `Output` in `wire`; nothing until something happens. */
  next() {
    return this.#waiting.shift() ?? this.#poll();
  }

  /** @param {any} output  It could not be done, and may be done yet. */
  putBack(output) {
    this.#waiting.unshift(output);
  }

  /** @param {{transmit: (lane: number) => void, say: (frame: string) => void}} how  Says what there is to say; the rest is put off. */
  flush({ transmit, say }) {
    for (let output = this.#poll(); output; output = this.#poll()) {
      if (output.do === 'transmit') transmit(output.lane);
      else if (output.do === 'say') say(output.frame);
      else this.#waiting.push(output);
    }
  }

  #poll() {
    const text = this.#session.poll();
    return text && JSON.parse(text);
  }
}
