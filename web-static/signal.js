/** The socket to the rendezvous. */
export class Signal {
  #socket;
  /** @type {string[]} */
  #waiting = [];

  /**
   * @param {URL} address  ws: or wss:
   * @param {{opened: () => void, heard: (frame: string) => void, closed: () => void}} on
   */
  constructor(address, on) {
    this.#socket = new WebSocket(address);
    this.#socket.onopen = () => {
      for (const frame of this.#waiting.splice(0)) this.#socket.send(frame);
      on.opened();
    };
    this.#socket.onmessage = ({ data }) => {
      if (typeof data === 'string') on.heard(data);
    };
    this.#socket.onclose = () => on.closed();
  }

  /** @param {string} frame */
  send(frame) {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#waiting.push(frame);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  close() {
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
  }
}
