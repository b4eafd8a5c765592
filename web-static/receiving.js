/**
 * One attempt to receive: everything between the socket, the channel and the disk. It owns the protocol, which is `wire`,
 * and does what that says; the page shows it and owns what only a page can have: the connection, and the person.
 */
import { Channel } from './channel.js';
import { discard } from './discard.js';
import { Jobs } from './jobs.js';
import { tellApart } from './leaving.js';
import { Rejoin } from './rejoin.js';
import { Signal } from './signal.js';
import { lastResort } from './spool.js';
import { Disk } from './spool/disk.js';
import { Download, Stopped } from './spool/download.js';
import { Storing } from './storing.js';
import { Session, doneLinger, pingInterval, socketPath } from './wire/wire.js';

/** How long the two sides may take to know each other, and then to find a path: milliseconds. */
const STEP_DEADLINE = 15_000;
const PATH_DEADLINE = 30_000;
/**
 * How long two sides that have not had a connection look for each other: milliseconds. Nothing is lost then but a code, and one
 * that left on purpose cannot be told from one that lost its way to the server.
 */
const FIRST_DEADLINE = 12_000;
/** How long the page may take to find out what it can do: milliseconds. */
const PAGE_DEADLINE = 10_000;
/** Between two reports of progress: milliseconds. */
const REPORT_INTERVAL = 200;
/** A browser saves files one by one; nobody does that more often. */
const MAX_FILES = 1000;
/** After these nothing is kept: the person does not want it, or it is not what was sent. */
const WORTHLESS = ['cancelled', 'declined', 'storage-full', 'storage-failed', 'damaged', 'violation'];

/** @param {object} message */
function tell(message) {
  self.postMessage(message);
}

export class Reception {
  #memory;
  #page;
  #session;
  #address;
  #signal;
  #rejoin;
  #channel;
  #storing;
  #jobs = new Jobs((job) => this.#perform(job));
  #isOver = false;
  /** What is to be done once there is room again. @type {any[]} */
  #held = [];
  #timer = 0;
  /** Whether the two have yet to have a connection. */
  #isFirst = true;
  /** Since when they look for each other then, and what is said when that is over. @type {number | undefined} */
  #since;
  #whyApart = 'left';
  /** Whether the server has this side work before it looks for the door. */
  #isSearching = false;
  #isAccepted = false;
  /** What the storage of a page before this one is called, whose person has agreed already. @type {string | undefined} */
  #own;
  #reported = 0;
  /** Called with what the page says about itself. @type {(isSo: boolean) => void} */
  #answered = () => {};

  /**
   * @param {WebAssembly.Memory} memory
   * @param {import('./wire/wire.js').Ticket | {token: Uint8Array, name: string}} start  Where to go; or what another page has left, and where.
   * @param {{base: string, isTouch: boolean, canChoose: boolean}} page  `canChoose`: the person can say where files go.
   */
  constructor(memory, start, page) {
    this.#memory = memory;
    this.#page = page;
    const isAnew = 'token' in start;
    if (isAnew) {
      this.#own = start.name;
      this.#isFirst = false;
    }
    this.#session = isAnew ? Session.restore(start.token) : new Session(start, crypto.getRandomValues(new Uint8Array(64)));
    this.#address = new URL(socketPath(), page.base);
    this.#address.protocol = this.#address.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#storing = new Storing(this.#session, memory, (path) => tell({ type: 'file', path }));
    this.#channel = new Channel({
      handleOpen: () => this.#jobs.add(() => this.#handleOpen()),
      handleRecord: (data) => this.#jobs.add(() => this.#handleRecord(data)),
      handleClosed: () => this.#jobs.add(() => this.#handleLost()),
      handleSilence: () => this.#jobs.add(() => this.#handleLost()),
      ping: () => this.#jobs.add(() => this.#session.ping()),
      isWaiting: () => this.#jobs.isBusy,
      stay: () => this.#stay(),
    });
    this.#rejoin = new Rejoin({
      attempt: () => this.#jobs.add(() => this.#join()),
      failed: () => this.#jobs.add(() => this.#session.handleLost()),
      gaveUp: () => this.#jobs.add(() => this.#fail('lost')),
    });
    if (!isAnew) {
      this.#signal = this.#connect(() => tell({ type: 'reached' }));
      this.#allow(STEP_DEADLINE, 'no-answer');
    }
    this.#jobs.add(() => {});
  }

  /** @param {() => void} [opened] */
  #connect(opened = () => {}) {
    return new Signal(this.#address, {
      opened,
      heard: (frame) => this.#jobs.add(() => this.#session.handleFrame(frame)),
      closed: () => this.#jobs.add(() => this.#handleServerGone()),
    });
  }

  /** @param {any} message  From the page. */
  handle(message) {
    switch (message.type) {
      case 'answer':
        return this.#jobs.add(() => this.#session.handleAnswer(message.sdp));
      case 'candidate':
        return this.#jobs.add(() => this.#session.handleCandidate(message.candidate, message.mid));
      case 'end-of-candidates':
        return this.#jobs.add(() => this.#session.handleEndOfCandidates());
      case 'channel':
        return this.#channel.take(message.channel);
      case 'channel-open':
        return this.#channel.takeFar((record) => tell({ type: 'transmit', record }));
      case 'record':
        return this.#channel.handleRecord(message.data);
      case 'channel-closed':
      case 'lost':
        return this.#jobs.add(() => this.#handleLost());
      case 'awake':
        return this.#jobs.add(() => this.#handleAwake());
      case 'can-download':
        return this.#answered(message.isSo);
      case 'accept':
        return this.#jobs.add(() => this.#accept(message.target));
      case 'decline':
        return this.#jobs.add(() => this.#stop(() => this.#session.decline(), 'declined'));
      case 'full':
        return this.#handleChoice(message);
      case 'cancel':
        return this.#quit(() => this.#session.cancel(), 'cancelled');
    }
  }

  async clear() {
    this.#end();
    await this.#storing.clear();
  }

  /** @param {() => void | Promise<void>} job */
  async #perform(job) {
    if (this.#isOver) return;
    const began = performance.now();
    try {
      await job();
      await this.#followUp();
    } catch (error) {
      this.#handleStorageError(error);
    }
    if (performance.now() - began > pingInterval()) this.#channel.excuse();
  }

  /** Does what follows from a job. */
  async #followUp() {
    for (let output = this.#poll(); output && !this.#isOver; output = this.#poll()) {
      try {
        const pending = this.#do(output);
        if (pending) await pending;
      } catch (error) {
        // It may be done yet, once there is room.
        this.#held.unshift(output);
        throw error;
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
      case 'search':
        if (!this.#isSearching) {
          this.#allow(output.limit, 'server-busy');
          tell({ type: 'working' });
        }
        this.#isSearching = true;
        setTimeout(() => this.#jobs.add(() => this.#session.search()));
        return;
      case 'prove':
        return tell({ type: 'proving' });
      case 'connect':
        this.#rejoin.handleConnect();
        if (this.#isFirst) this.#allow(PATH_DEADLINE, 'no-path');
        return tell({ type: 'connect', sdp: output.sdp, iceServers: output.iceServers, channel: output.channel });
      case 'candidate':
        return tell({ type: 'candidate', candidate: { candidate: output.candidate, sdpMid: output.mid } });
      case 'transmit':
        return this.#channel.send(this.#session.record());
      case 'ask':
        return this.#ask(output);
      case 'rewind':
        return this.#storing.rewind(output);
      case 'write':
        return this.#storing.write(output);
      case 'commit':
        return this.#storing.commit(output);
      case 'written':
        return this.#handleWritten(output.len);
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

  #handleOpen() {
    this.#session.handleOpen();
    this.#channel.watch();
  }

  /** @param {unknown} data */
  #handleRecord(data) {
    if (!(data instanceof ArrayBuffer) || data.byteLength > this.#session.room) return this.#fail('violation');
    const len = data.byteLength;
    new Uint8Array(this.#memory.buffer, this.#session.staging(), len).set(new Uint8Array(data));
    discard(data);
    this.#session.handleRecord(len);
  }

  /** @param {{files: number, size: number, isStream: boolean, leftOut: number}} offer */
  async #ask(offer) {
    clearTimeout(this.#timer);
    this.#isFirst = false;
    if (offer.files > MAX_FILES) return this.#stop(() => this.#session.declineForSpace(), 'too-many');
    const files = this.#files();
    await this.#findPlace(offer, files);
    if (!this.#storing.isOpen && !this.#page.canChoose) return this.#stop(() => this.#session.declineForSpace(), 'no-storage');
    const isAccepted = this.#own !== undefined;
    tell({ ...offer, type: 'offer', files, mustChoose: !this.#storing.isOpen, held: this.#storing.done, isAccepted });
    if (isAccepted) await this.#accept();
  }

  /** What is offered, without what is not a file. */
  #files() {
    const files = [];
    for (let number = 0; number < this.#session.entryCount; number += 1) {
      const file = this.#session.file(number);
      if (file) files.push({ number, ...JSON.parse(file) });
    }
    return files;
  }

  /**
   * @param {{size: number, isStream: boolean}} offer
   * @param {{number: number, key: string}[]} files
   */
  async #findPlace(offer, files) {
    await this.#storing.open(offer, files, this.#own);
    if (this.#storing.isOpen) return;
    const place = (await this.#canDownload()) ? this.#download() : lastResort(offer.size, this.#page.isTouch);
    if (place) await this.#storing.move(place);
  }

  /** @returns {Promise<boolean>}  Whether the page can let the browser download what comes. */
  #canDownload() {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), PAGE_DEADLINE);
      this.#answered = (isSo) => {
        clearTimeout(timer);
        resolve(isSo);
      };
      tell({ type: 'can-download' });
    });
  }

  #download() {
    return new Download((file) => self.postMessage({ ...file, type: 'download' }, [file.port]));
  }

  /** @param {{file?: any, folder?: any}} [target]  Where the person wants it, if they have said. */
  async #accept(target) {
    if (target) await this.#storing.move(new Disk(target));
    if (!this.#storing.isOpen) return;
    this.#isAccepted = true;
    // Where nothing is stored, a page that is loaded anew has nothing to go on with.
    if (this.#storing.name) tell({ type: 'kept', token: Array.from(this.#session.token()), name: this.#storing.name });
    await this.#storing.hold(() => this.#reportSometimes());
    this.#session.accept();
    this.#report();
  }

  /** @param {number} len  Of a record whose writes are done. */
  #handleWritten(len) {
    this.#session.handleWritten(len);
    this.#reportSometimes();
  }

  #reportSometimes() {
    if (performance.now() - this.#reported >= REPORT_INTERVAL) this.#report();
  }

  #report() {
    this.#reported = performance.now();
    tell({ type: 'progress', done: this.#storing.done });
  }

  #finish() {
    tell({ type: 'done', files: this.#storing.received });
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
    this.#storing.interrupt();
    this.#jobs.replace(() => this.#stop(say, why));
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
    const kept = this.#storing.name && !WORTHLESS.includes(why) ? this.#storing.done : 0;
    if (kept > 0) this.#storing.leave();
    else this.#storing.clear();
    if (this.#session.isLeaving) tellApart(this.#address, this.#session, () => this.#session.join(crypto.getRandomValues(new Uint8Array(64))));
    tell({ type: 'failed', why, retryAfter, kept });
  }

  /** Sends what is still to be said, and gives what else there is to do. */
  #flush() {
    const others = [];
    for (let text = this.#session.poll(); text !== undefined; text = this.#session.poll()) {
      const output = JSON.parse(text);
      if (output.do === 'transmit') this.#channel.send(this.#session.record());
      else if (output.do === 'say') this.#signal.send(output.frame);
      else others.push(output);
    }
    return others;
  }

  /** What is here stays, and so does the sender, until the person has chosen. */
  #handleFull() {
    this.#jobs.hold();
    tell({ type: 'full' });
  }

  /** Shows the sender that this side is alive although its disk keeps everything else waiting. */
  #stay() {
    if (this.#isOver) return;
    this.#session.ping();
    this.#held.push(...this.#flush());
  }

  /** @param {{choice: 'retry' | 'target' | 'download' | 'stop', target?: any}} message */
  #handleChoice({ choice, target }) {
    if (!this.#jobs.isHeld) return;
    if (choice === 'stop') return this.#quit(() => this.#session.handleStorageFull(), 'storage-full');
    tell({ type: 'resumed', isAccepted: true });
    this.#jobs.release(async () => {
      if (choice !== 'retry') await this.#storing.move(choice === 'target' ? new Disk(target) : this.#download());
    });
  }

  #handleServerGone() {
    this.#whyApart = 'server-gone';
    this.#session.handleServerGone();
  }

  #handleLost() {
    if (this.#session.isComplete) this.#finish();
    else this.#session.handleLost();
  }

  /** @param {number} [retryAfter]  Seconds. */
  #handleApart(retryAfter) {
    this.#channel.drop();
    this.#signal?.close();
    clearTimeout(this.#timer);
    if (this.#isFirst) this.#allowFirst();
    if (!this.#rejoin.isApart) tell({ type: 'reconnecting', isFirst: this.#isFirst });
    this.#rejoin.handleApart(retryAfter);
  }

  #allowFirst() {
    const now = performance.now();
    this.#since ??= now;
    this.#allow(Math.max(0, this.#since + FIRST_DEADLINE - now), this.#whyApart);
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
    if (this.#channel.isThere && !this.#rejoin.isApart) this.#channel.doubt();
  }

  /** @param {any} error */
  #handleStorageError(error) {
    if (this.#isOver) return;
    if (error?.name === 'QuotaExceededError') return this.#handleFull();
    if (error instanceof Stopped) this.#stop(() => this.#session.cancel(), 'cancelled');
    else this.#stop(() => this.#session.handleStorageError(), 'storage-failed');
  }

  /**
   * @param {number} time  Milliseconds.
   * @param {string} why
   */
  #allow(time, why) {
    clearTimeout(this.#timer);
    const late = () => (this.#session.isComplete ? this.#finish() : this.#stop(() => this.#session.cancel(), why));
    this.#timer = setTimeout(() => this.#jobs.add(late), time);
  }

  #end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#channel.stop();
    this.#rejoin.close();
    // The channel is left to the page, which closes the connection a moment later: closing a channel takes away from the
    // other side what it has not read yet, and that is the reason why it ends.
    this.#signal?.close();
  }
}
