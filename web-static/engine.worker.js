/**
 * Everything between the socket, the channel and the disk. It owns the protocol, which is `wire`, and does what that says;
 * the page shows it and owns what only a page can have: the connection, and the person.
 */
import init, { Session, Ticket, doneLinger, pingInterval, silenceLimit, socketPath } from './wire/wire.js';
import { openSpool, sweep } from './spool.js';

/** How long the two sides may take to know each other, and then to find a path: milliseconds. */
const STEP_DEADLINE = 15_000;
const PATH_DEADLINE = 30_000;
/** How long the other side may take to answer a device that woke up: milliseconds. */
const AWAKE_PATIENCE = 3_000;
/** Between two reports of progress: milliseconds. */
const REPORT_INTERVAL = 200;
/** A browser saves files one by one; nobody does that more often. */
const MAX_FILES = 1000;

/** Loaded with the first attempt: a visit alone needs no socket. @type {typeof import('./signal.js').Signal} */
let Signal;
/** @type {typeof import('./rejoin.js').Rejoin} */
let Rejoin;

const wire = init({ module_or_path: new URL('wire/wire_bg.wasm', import.meta.url) });

/** @param {object} message */
function tell(message) {
  self.postMessage(message);
}

/** One attempt to receive. Whatever happens is a job; jobs run one after the other. */
class Reception {
  #memory;
  #session;
  #address;
  #signal;
  #rejoin;
  #isTouch;
  /** @type {(() => void | Promise<void>)[]} */
  #jobs = [];
  #isBusy = false;
  #isOver = false;
  /** There is no room: nothing more happens until the person has chosen. What is to be done then. @type {any[]} */
  #held = [];
  #isFull = false;
  #timer = 0;
  #pulse = 0;

  /** @type {RTCDataChannel | {send: (record: Uint8Array) => void} | undefined} */
  #channel;
  #lastBeat = 0;
  #lastHeard = 0;
  #hasSent = false;

  #hasOffer = false;
  #isAccepted = false;
  /** @type {import('./spool.js').Spool | undefined} */
  #spool;
  /** The file that is being written. */
  #file = -1;
  /** Bytes that are stored; those of complete files among them. */
  #done = 0;
  #committed = 0;
  #reported = 0;
  /** @type {{path: string, size: number, sha256: string, content: Blob}[]} */
  #received = [];

  /**
   * @param {WebAssembly.Memory} memory
   * @param {Ticket} ticket
   * @param {{base: string, isTouch: boolean}} page
   */
  constructor(memory, ticket, { base, isTouch }) {
    this.#memory = memory;
    this.#isTouch = isTouch;
    this.#session = new Session(ticket, crypto.getRandomValues(new Uint8Array(64)));
    this.#address = new URL(socketPath(), base);
    this.#address.protocol = this.#address.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#rejoin = new Rejoin({
      attempt: () => this.run(() => this.#join()),
      failed: () => this.run(() => this.#session.handleLost()),
      gaveUp: () => this.run(() => this.#fail('lost')),
    });
    this.#signal = this.#connect(() => tell({ type: 'reached' }));
    this.#allow(STEP_DEADLINE, 'no-answer');
    this.run(() => {});
  }

  /** @param {() => void} [opened] */
  #connect(opened = () => {}) {
    return new Signal(this.#address, {
      opened,
      heard: (frame) => this.run(() => this.#session.handleFrame(frame)),
      closed: () => this.run(() => this.#handleServerGone()),
    });
  }

  /** @param {() => void | Promise<void>} job  Something that happened. */
  run(job) {
    this.#jobs.push(job);
    if (!this.#isBusy) this.#work();
  }

  /** @param {object} message  From the page. */
  handle(message) {
    switch (message.type) {
      case 'answer':
        return this.run(() => this.#session.handleAnswer(message.sdp));
      case 'candidate':
        return this.run(() => this.#session.handleCandidate(message.candidate, message.mid));
      case 'end-of-candidates':
        return this.run(() => this.#session.handleEndOfCandidates());
      case 'channel':
        return this.#takeChannel(message.channel);
      case 'channel-open':
        this.#dropChannel();
        this.#channel = { send: (record) => tell({ type: 'transmit', record }) };
        return this.#handleOpen();
      case 'record':
        return this.#handleRecord(message.data);
      case 'channel-closed':
      case 'lost':
        return this.run(() => this.#handleLost());
      case 'awake':
        return this.run(() => this.#handleAwake());
      case 'accept':
        return this.run(() => this.#accept());
      case 'decline':
        return this.run(() => this.#stop(() => this.#session.decline(), 'declined'));
      case 'full':
        return this.#handleChoice(message.choice);
      case 'cancel':
        return this.#quit(() => this.#session.cancel(), 'cancelled');
    }
  }

  async clear() {
    this.#end();
    this.#received = [];
    await this.#spool?.clear().catch(() => {});
  }

  async #work() {
    this.#isBusy = true;
    for (let job = this.#next(); job; job = this.#next()) {
      if (this.#isOver) continue;
      const began = performance.now();
      try {
        await job();
        await this.#perform();
      } catch (error) {
        await this.#handleStorageError(error);
      }
      // What waited for the disk was not listened to.
      if (performance.now() - began > pingInterval()) this.#lastHeard = performance.now();
    }
    this.#isBusy = false;
  }

  #next() {
    return this.#isFull ? undefined : this.#jobs.shift();
  }

  async #perform() {
    for (let output = this.#poll(); output && !this.#isOver; output = this.#poll()) {
      try {
        const pending = this.#do(output);
        if (pending) await pending;
      } catch (error) {
        if (error?.name !== 'QuotaExceededError') throw error;
        this.#held.unshift(output);
        return this.#handleFull();
      }
    }
  }

  /** What is to be done next. */
  #poll() {
    if (this.#held.length > 0) return this.#held.shift();
    const text = this.#session.poll();
    return text && JSON.parse(text);
  }

  /**
   * @param {any} output  See `Output` in `wire`.
   * @returns {void | Promise<void>}
   */
  #do(output) {
    switch (output.do) {
      case 'say':
        return this.#signal.send(output.frame);
      case 'prove':
        return tell({ type: 'proving' });
      case 'connect':
        if (this.#rejoin.isApart) this.#rejoin.handleConnect();
        else this.#allow(PATH_DEADLINE, 'no-path');
        return tell({ type: 'connect', sdp: output.sdp, iceServers: output.iceServers, channel: output.channel });
      case 'candidate':
        return tell({ type: 'candidate', candidate: { candidate: output.candidate, sdpMid: output.mid } });
      case 'transmit':
        this.#hasSent = true;
        return this.#transmit(this.#session.record());
      case 'ask':
        return this.#ask(output);
      case 'rewind':
        return this.#rewind(output);
      case 'write':
        return this.#write(output);
      case 'commit':
        return this.#commit(output);
      case 'written':
        return this.#session.handleWritten(output.len);
      case 'finish':
        this.#report();
        tell({ type: 'verifying' });
        this.#allow(doneLinger(), 'no-answer');
        return this.#session.handleFinished();
      case 'done':
        return this.#finish();
      case 'apart':
        return this.#handleApart(output.retryAfter ?? undefined);
      case 'back':
        return this.#handleBack();
      case 'fail':
        return this.#fail(output.why, output.retryAfter ?? undefined);
    }
  }

  /** @param {RTCDataChannel} channel */
  #takeChannel(channel) {
    this.#dropChannel();
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => this.#handleRecord(data);
    channel.onclose = () => this.run(() => this.#handleLost());
    if (channel.readyState === 'open') this.#handleOpen();
    else channel.onopen = () => this.#handleOpen();
  }

  /** Nothing that still comes from this channel counts. */
  #dropChannel() {
    clearInterval(this.#pulse);
    if (this.#channel && 'onmessage' in this.#channel) this.#channel.onmessage = this.#channel.onclose = this.#channel.onopen = null;
    this.#channel = undefined;
  }

  /** @param {Uint8Array | undefined} record */
  #transmit(record) {
    if (!record) return;
    try {
      this.#channel?.send(record);
    } catch {
      // It closes, and says so itself.
    }
  }

  #handleOpen() {
    this.run(() => {
      this.#session.handleOpen();
      this.#lastBeat = this.#lastHeard = performance.now();
      this.#pulse = setInterval(() => this.#beat(), pingInterval());
    });
  }

  /** @param {unknown} data */
  #handleRecord(data) {
    this.#lastHeard = performance.now();
    this.run(() => {
      if (!(data instanceof ArrayBuffer) || data.byteLength > this.#session.room) return this.#fail('violation');
      const len = data.byteLength;
      new Uint8Array(this.#memory.buffer, this.#session.staging(), len).set(new Uint8Array(data));
      this.#session.handleRecord(len);
    });
  }

  /** Says that this side is alive, and notices when the other is not. */
  #beat() {
    const now = performance.now();
    const isWaiting = this.#isBusy || this.#isFull;
    // A device that slept has not listened: it knows nothing about silence.
    if (now - this.#lastBeat > 2 * pingInterval() || isWaiting) this.#lastHeard = now;
    this.#lastBeat = now;
    if (isWaiting) return this.#stay();
    this.run(() => {
      if (now - this.#lastHeard >= silenceLimit()) return this.#handleLost();
      if (!this.#hasSent) this.#session.ping();
      this.#hasSent = false;
    });
  }

  /** @param {{files: number, size: number, isStream: boolean, leftOut: number}} offer */
  async #ask({ files, size, isStream, leftOut }) {
    clearTimeout(this.#timer);
    this.#hasOffer = true;
    if (files > MAX_FILES) return this.#stop(() => this.#session.declineForSpace(), 'too-many');
    this.#spool = await openSpool(size, isStream, this.#isTouch);
    if (!this.#spool) return this.#stop(() => this.#session.declineForSpace(), 'no-storage');
    const found = [];
    for (let entry = 0; entry < this.#session.entryCount; entry += 1) {
      const file = this.#session.file(entry);
      if (file) found.push(JSON.parse(file));
    }
    tell({ type: 'offer', files: found, size, isStream, leftOut });
  }

  #accept() {
    this.#isAccepted = true;
    this.#session.accept();
    this.#report();
  }

  /** @param {{file: number, start: number, len: number}} what */
  #write({ file, start, len }) {
    if (file !== this.#file) return this.#begin(file).then(() => this.#write({ file, start, len }));
    const written = this.#spool.write(new Uint8Array(this.#memory.buffer, this.#session.staging() + start, len));
    return written ? written.then(() => this.#handleStored(len)) : this.#handleStored(len);
  }

  /** @param {number} len  So many bytes more. */
  #handleStored(len) {
    this.#done += len;
    if (performance.now() - this.#reported >= REPORT_INTERVAL) this.#report();
  }

  /** @param {{file: number, offset: number}} what  What is behind it did not come from this sender's file. */
  #rewind({ file, offset }) {
    if (file !== this.#file) return;
    this.#done = this.#committed + offset;
    return this.#spool.rewind(offset);
  }

  /** @param {number} file */
  async #begin(file) {
    await this.#spool.begin(file);
    this.#file = file;
    const { path } = JSON.parse(this.#session.file(file));
    tell({ type: 'file', path });
  }

  /** @param {{file: number, len: number, sha256: string}} what */
  async #commit({ file, len, sha256 }) {
    if (file !== this.#file) await this.#begin(file);
    const content = await this.#spool.end();
    if (content.size !== len) throw new Error('the storage has lost something');
    this.#file = -1;
    this.#committed += len;
    const { path } = JSON.parse(this.#session.file(file));
    this.#received.push({ path, size: len, sha256, content });
  }

  #report() {
    this.#reported = performance.now();
    tell({ type: 'progress', done: this.#done });
  }

  #finish() {
    tell({ type: 'done', files: this.#received });
    this.#session.leave();
    this.#flush();
    this.#end();
  }

  /**
   * The person ends it: what waits, for room too, is not done any more.
   * @param {() => void} say  Tells the other side.
   * @param {string} why
   */
  #quit(say, why) {
    this.#isFull = false;
    this.#jobs = [];
    this.run(() => this.#stop(say, why));
  }

  /**
   * Ends it from this side.
   * @param {() => void} say  Tells the other side.
   * @param {string} why
   */
  #stop(say, why) {
    say();
    this.#fail(why);
  }

  /**
   * @param {string} why
   * @param {number} [retryAfter]  Seconds.
   */
  #fail(why, retryAfter) {
    if (this.#isOver) return;
    this.#flush();
    this.#end();
    this.#spool?.clear().catch(() => {});
    tell({ type: 'failed', why, retryAfter });
  }

  /** Sends what is still to be said, and gives what else there is to do. */
  #flush() {
    const others = [];
    for (let text = this.#session.poll(); text !== undefined; text = this.#session.poll()) {
      const output = JSON.parse(text);
      if (output.do === 'transmit') this.#transmit(this.#session.record());
      else if (output.do === 'say') this.#signal.send(output.frame);
      else others.push(output);
    }
    return others;
  }

  /** What is here stays, and so does the sender, until the person has chosen. */
  #handleFull() {
    this.#isFull = true;
    tell({ type: 'full', choices: ['retry', 'stop'] });
  }

  /** Shows the sender that this side is alive although its disk keeps everything else waiting. */
  #stay() {
    this.#session.ping();
    this.#held.push(...this.#flush());
  }

  /** @param {string} choice */
  #handleChoice(choice) {
    if (!this.#isFull) return;
    if (choice === 'stop') return this.#quit(() => this.#session.handleStorageFull(), 'storage-full');
    this.#isFull = false;
    tell({ type: 'resumed', isAccepted: true });
    // What was held comes before everything that has happened since.
    this.#jobs.unshift(() => {});
    if (!this.#isBusy) this.#work();
  }

  #handleServerGone() {
    // Once there is a channel, the server is not needed until that breaks.
    if (this.#rejoin.isApart) this.#session.handleLost();
    else if (!this.#hasOffer && !this.#channel) this.#fail('server-gone');
  }

  #handleLost() {
    if (this.#session.isComplete) this.#finish();
    else this.#session.handleLost();
  }

  /** @param {number} [retryAfter]  Seconds. */
  #handleApart(retryAfter) {
    this.#dropChannel();
    this.#signal.close();
    clearTimeout(this.#timer);
    if (!this.#rejoin.isApart) tell({ type: 'reconnecting' });
    this.#rejoin.handleApart(retryAfter);
  }

  #join() {
    this.#signal = this.#connect();
    this.#session.join(crypto.getRandomValues(new Uint8Array(64)));
  }

  #handleBack() {
    this.#rejoin.handleBack();
    tell({ type: 'resumed', isAccepted: this.#isAccepted });
  }

  /** The page is looked at again, or the network is another: whether the connection is still there shows within seconds. */
  #handleAwake() {
    this.#rejoin.hurry();
    if (!this.#channel || this.#rejoin.isApart) return;
    this.#session.ping();
    const now = performance.now();
    this.#lastBeat = now;
    this.#lastHeard = now - silenceLimit() + AWAKE_PATIENCE;
  }

  /** @param {any} error */
  async #handleStorageError(error) {
    if (this.#isOver) return;
    this.#stop(() => this.#session.handleStorageError(), 'storage-failed');
  }

  /**
   * @param {number} time  Milliseconds.
   * @param {string} why
   */
  #allow(time, why) {
    clearTimeout(this.#timer);
    const late = () => (this.#session.isComplete ? this.#finish() : this.#stop(() => this.#session.cancel(), why));
    this.#timer = setTimeout(() => this.run(late), time);
  }

  #end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#pulse);
    this.#rejoin.close();
    // The channel is left to the page, which closes the connection a moment later: closing a channel takes away from the
    // other side what it has not read yet, and that is the reason why it ends.
    this.#signal.close();
  }
}

/** @type {Ticket | undefined} */
let ticket;
/** @type {Reception | undefined} */
let reception;

/** @param {{text: string, salt: Uint8Array}} message */
async function look({ text, salt }) {
  await wire;
  try {
    ticket = Ticket.parse(text);
    tell({ type: 'found', trace: ticket.trace(salt), origin: ticket.origin });
  } catch (error) {
    tell({ type: 'refused', why: error.message });
  }
}

/** @param {{base: string, isTouch: boolean}} page */
async function receive(page) {
  const { memory } = await wire;
  await reception?.clear();
  try {
    [{ Signal }, { Rejoin }] = await Promise.all([import('./signal.js'), import('./rejoin.js')]);
  } catch {
    return tell({ type: 'failed', why: 'server-gone' });
  }
  if (ticket) reception = new Reception(memory, ticket, page);
}

self.onmessage = ({ data }) => {
  if (data.type === 'look') look(data);
  else if (data.type === 'receive') receive(data);
  else if (data.type === 'clear') reception?.clear();
  else reception?.handle(data);
};

wire.then(sweep, () => tell({ type: 'failed', why: 'unsupported' }));
