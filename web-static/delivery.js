/**
 * One attempt to send: everything between the files, the channel and the socket. It owns the protocol, which is `wire`, and
 * does what that says; the page shows it and owns what only a page can have: the connection, and the person.
 */
import { Lanes } from './lanes.js';
import { Meeting } from './meeting.js';
import { FarChannel, HIGH_WATER, LOW_WATER } from './send.far.js';
import { Reader, Unreadable } from './send.reader.js';
import { Sending, qrModules, socketPath } from './wire/sending.js';

/** More than anybody who reads lets wait: a side that only asks and takes no answers. */
const MAX_WAITING = 64 << 20;
/** How long the last words may take behind what already waits in the channel: milliseconds. */
const FAREWELL = 30_000;
/** Between two looks at the clock: milliseconds. */
const TICK = 500;
/** Between two reports of progress: milliseconds. People read no faster. */
const REPORT_INTERVAL = 500;

/** @param {object} message */
function tell(message) {
  self.postMessage(message);
}

export class Delivery {
  #memory;
  #handleOver;
  #sending;
  #reader;
  #meeting;
  #lanes;
  /** The address of the page. */
  #base;
  /** The number of the path that the page opens. */
  #direct = 0;
  /** The number of the path on which something was said last. @type {number | undefined} */
  #speaking;
  /** Called once the channel has room. */
  #resume = () => {};
  #timer;
  /** How many reads were wanted: what comes of an earlier one is for nobody. */
  #turn = 0;
  /** Whether the rendezvous wants work, and has been given none yet. */
  #isWorking = false;
  #wasOffered = false;
  #isAccepted = false;
  #reported = 0;
  #isOver = false;
  /** When the connection is let go of although the other side has not closed it. */
  #late;

  /**
   * @param {WebAssembly.Memory} memory
   * @param {{files: File[], offer: import('./wire/sending.js').Offer, base: string, token?: string}} what
   * @param {(delivery: Delivery) => void} handleOver  Called when nothing is left to be said, and the page may let go of the connection.
   */
  constructor(memory, { files, offer, base, token }, handleOver) {
    this.#memory = memory;
    this.#base = base;
    this.#lanes = new Lanes({
      opened: (lane) => this.#run(() => this.#sending.handleOpen(lane)),
      heard: (lane, data) => this.#run(() => this.#handleRecord(lane, data)),
      closed: (lane) => this.#handleLost(lane),
      hasRoom: () => this.#resume(),
    }, LOW_WATER);
    this.#handleOver = handleOver;
    this.#reader = new Reader(files);
    this.#sending = new Sending(base, offer, token, crypto.getRandomValues(new Uint8Array(32)), performance.now());
    this.#meeting = new Meeting(base, socketPath(), {
      heard: (frame) => this.#run(() => this.#sending.handleFrame(frame, performance.now())),
      closed: () => this.#run(() => this.#sending.handleServerGone(performance.now())),
      attempt: () => this.#run(() => this.#join()),
      failed: () => this.#run(() => this.#sending.handleLost(performance.now())),
      gaveUp: () => this.#fail('lost'),
    });
    this.#meeting.open();
    this.#timer = setInterval(() => this.#run(() => this.#sending.handleTime(performance.now())), TICK);
    this.#perform();
  }

  #join() {
    this.#meeting.open();
    this.#sending.join(performance.now());
  }

  /** @param {any} message  From the page. */
  handle(message) {
    switch (message.type) {
      case 'offer':
        return this.#run(() => this.#sending.handleOffer(message.sdp));
      case 'candidate':
        return this.#run(() => this.#sending.handleCandidate(message.candidate, message.mid));
      case 'end-of-candidates':
        return this.#run(() => this.#sending.handleEndOfCandidates());
      case 'channel':
        message.channel.binaryType = 'arraybuffer';
        return this.#lanes.take(this.#direct, message.channel);
      case 'channel-open':
        return this.#lanes.take(this.#direct, new FarChannel((record) => tell({ type: 'transmit', record })));
      case 'sent':
        return this.#far()?.handleSent(message.total);
      case 'record':
        return this.#run(() => this.#handleRecord(this.#direct, message.data));
      case 'path':
        return this.#sending.handlePath(message.way);
      case 'awake':
        this.#meeting.hurry();
        return this.#run(() => this.#sending.handleAwake(performance.now()));
      case 'channel-closed':
      case 'lost':
        return this.#handleLost(this.#direct);
      case 'cancel':
        return this.#run(() => this.#sending.cancel());
    }
  }

  /**
   * Does nothing more. The page lets go of the connection once the other side has closed it, having read the last words:
   * a channel that is closed from here takes away what was not read yet.
   */
  end() {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#resume();
    this.#meeting.close();
    if (this.#lanes.size > 0) this.#late = setTimeout(() => this.#release(), FAREWELL);
    else this.#release();
  }

  #release() {
    clearTimeout(this.#late);
    this.#lanes.leaveAll();
    this.#handleOver(this);
  }

  /** @param {number} lane  A path that is gone. */
  #handleLost(lane) {
    const isUsed = [lane, undefined].includes(this.#sending.lane);
    this.#lanes.leave(lane);
    this.#run(() => this.#sending.handleLaneLost(lane));
    this.#resume();
    if (this.#isOver && isUsed) this.#release();
  }

  /** A channel that stayed with the page. */
  #far() {
    const path = this.#lanes.at(this.#direct);
    return path instanceof FarChannel ? path : undefined;
  }

  /** @param {() => void} happened  Tells the protocol what did. */
  #run(happened) {
    if (this.#isOver) return;
    happened();
    this.#perform();
  }

  #perform() {
    for (let text = this.#sending.poll(); text !== undefined && !this.#isOver; text = this.#sending.poll()) {
      this.#do(JSON.parse(text));
    }
  }

  /** @param {any} output  See `Output` in `wire`. */
  #do(output) {
    switch (output.do) {
      case 'say':
        return this.#meeting.say(output.frame);
      case 'search':
        if (!this.#isWorking) tell({ type: 'working' });
        this.#isWorking = true;
        setTimeout(() => this.#run(() => this.#sending.search(performance.now())));
        return;
      case 'show':
        return tell({ ...output, type: 'code', picture: output.link ? qrModules(output.link) : undefined });
      case 'away':
        return this.#handleAway(output.retryAfter ?? undefined);
      case 'here':
        this.#meeting.handleBack();
        return tell({ type: 'here' });
      case 'knocked':
        return tell({ type: 'knocked' });
      case 'visited':
        return tell({ type: 'visited', why: output.why });
      case 'connect':
        this.#meeting.handleConnect();
        this.#direct = output.lane;
        return tell({ type: 'connect', iceServers: output.iceServers, channel: output.channel });
      case 'answer':
        return tell({ type: 'answer', sdp: output.sdp });
      case 'candidate':
        return tell({ type: 'candidate', candidate: { candidate: output.candidate, sdpMid: output.mid } });
      case 'offered':
        this.#wasOffered = true;
        return tell({ type: 'offered', words: output.words });
      case 'transmit':
        return this.#transmit(output.lane, this.#sending.record());
      case 'relay':
        return this.#lanes.takeRelay(this.#base, output);
      case 'wait':
        setTimeout(() => this.#run(() => this.#sending.handleWaited()), output.time);
        return;
      case 'turn':
        return this.#handleTurn(output.lane);
      case 'leave':
        this.#lanes.leave(output.lane);
        return this.#resume();
      case 'accepted':
        this.#isAccepted = true;
        return tell({ type: 'accepted' });
      case 'read':
        this.#read(output);
        return;
      case 'done':
        return this.#finish();
      case 'apart':
        return this.#handleApart(output.retryAfter ?? undefined);
      case 'back':
        this.#meeting.handleBack();
        this.#forgetReads();
        return tell({ type: 'resumed', isAccepted: this.#isAccepted });
      case 'fail':
        return this.#fail(output.why, output.retryAfter ?? undefined);
    }
  }

  /**
   * @param {string} why
   * @param {number} [retryAfter]  Seconds.
   */
  #fail(why, retryAfter) {
    this.end();
    if (this.#sending.isLeaving) this.#meeting.tellApart(this.#sending, () => this.#sending.join(performance.now()));
    tell({ type: 'failed', why, retryAfter });
  }

  /** @param {number} [retryAfter]  Seconds. */
  #handleAway(retryAfter) {
    if (!this.#meeting.isApart) tell({ type: 'away' });
    this.#meeting.handleApart(retryAfter);
  }

  /** @param {number} [retryAfter]  Seconds. */
  #handleApart(retryAfter) {
    this.#lanes.leaveAll();
    this.#forgetReads();
    if (!this.#meeting.isApart) tell({ type: 'reconnecting', isFirst: !this.#wasOffered });
    this.#meeting.handleApart(retryAfter);
  }

  /** What is being read is for nobody any more, and nothing waits for room. */
  #forgetReads() {
    this.#turn += 1;
    this.#resume();
  }

  /** @param {number} lane  The path that is used from here on. */
  #handleTurn(lane) {
    tell({ type: 'way', isRelayed: this.#sending.isRelayed });
    for (const data of this.#lanes.release(lane)) this.#handleRecord(lane, data);
  }

  /**
   * @param {number} lane
   * @param {unknown} data
   */
  #handleRecord(lane, data) {
    if (this.#lanes.isHolding(lane)) return this.#lanes.hold(lane, data);
    const isRecord = data instanceof ArrayBuffer && data.byteLength <= this.#sending.stagingLen;
    // What is no record is handled as one that is too long: the protocol says what becomes of it.
    const len = isRecord ? data.byteLength : this.#sending.stagingLen + 1;
    if (isRecord) new Uint8Array(this.#memory.buffer, this.#sending.staging(), len).set(new Uint8Array(data));
    if (!this.#sending.handleRecord(lane, len, performance.now())) this.#lanes.hold(lane, data);
  }

  /**
   * @param {number} lane
   * @param {Uint8Array | undefined} record
   */
  #transmit(lane, record) {
    if (this.#waiting(lane) > MAX_WAITING) return this.#sending.handleLaneLost(lane);
    this.#speaking = lane;
    this.#lanes.send(lane, record);
  }

  /** @param {number | undefined} lane  How many bytes wait to be sent there. */
  #waiting(lane) {
    return this.#lanes.at(lane)?.bufferedAmount ?? 0;
  }

  /** @param {{parts: {file: number, offset: number, len: number}[], done: number | null}} wanted */
  async #read({ parts, done }) {
    const turn = (this.#turn += 1);
    try {
      if (this.#waiting(this.#speaking) >= HIGH_WATER) await new Promise((resolve) => (this.#resume = () => resolve(undefined)));
      const read = await Promise.all(parts.map(({ file, offset, len }) => this.#reader.read(file, offset, len)));
      if (turn !== this.#turn) return;
      this.#run(() => this.#place(read));
      if (done !== null) this.#report(done);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      if (turn === this.#turn) this.#run(() => this.#sending.handleUnreadable(error.file));
    }
  }

  /** @param {Uint8Array[]} read  To where it is sealed; unless nobody waits for it any more. */
  #place(read) {
    const len = read.reduce((sum, bytes) => sum + bytes.length, 0);
    const wanted = this.#sending.roomLen;
    if (len !== wanted) return;
    const room = new Uint8Array(this.#memory.buffer, this.#sending.room(), wanted);
    let at = 0;
    for (const bytes of read) {
      room.set(bytes, at);
      at += bytes.length;
    }
    this.#sending.handleRead();
  }

  /** @param {number} done  Bytes. */
  #report(done) {
    const now = performance.now();
    if (now - this.#reported < REPORT_INTERVAL) return;
    this.#reported = now;
    // What still waits in the channel has not left.
    tell({ type: 'progress', done: Math.max(0, done - this.#waiting(this.#speaking)) });
  }

  #finish() {
    this.end();
    tell({ type: 'done' });
  }
}
