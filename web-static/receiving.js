/**
 * One attempt to receive: everything between the socket, the channel and the disk. It owns the protocol, which is `wire`,
 * and does what that says; the page shows it and owns what only a page can have: the connection, and the person.
 */
import { Channel } from './channel.js';
import { discard } from './discard.js';
import { Jobs } from './jobs.js';
import { Meeting } from './meeting.js';
import { Consent } from './receiving/consent.js';
import { Outputs } from './receiving/outputs.js';
import { Patience } from './receiving/patience.js';
import { Placing } from './receiving/placing.js';
import { Reports } from './receiving/reports.js';
import { Standstill } from './receiving/standstill.js';
import { Stopped } from './spool/download.js';
import { Storing } from './storing.js';
import { Session, doneLinger, pingInterval, socketPath } from './wire/wire.js';

/** After these nothing is kept: the person does not want it, or it is not what was sent. */
const WORTHLESS = ['cancelled', 'declined', 'storage-full', 'storage-failed', 'damaged', 'violation'];

/**
 * @param {object} message
 * @param {Transferable[]} [transfer]
 */
function tell(message, transfer = []) {
  self.postMessage(message, transfer);
}

const entropy = () => crypto.getRandomValues(new Uint8Array(32));

export class Reception {
  #memory;
  #session;
  #outputs;
  #meeting;
  #patience = new Patience((why) => this.#jobs.add(() => this.#handleLate(why)));
  #channel;
  #storing;
  #placing;
  #reports;
  #consent;
  #standstill;
  #jobs = new Jobs((job) => this.#perform(job));
  /** The address of the page. */
  #base;
  /** The number of the path that the page opens. */
  #direct = 0;
  #isOver = false;
  /** Whether the server was ever there. */
  #isReached = false;
  /** Whether the server has this side work before it looks for the door. */
  #isSearching = false;

  /**
   * @param {WebAssembly.Memory} memory
   * @param {import('./wire/wire.js').Ticket | {token: Uint8Array, name: string}} start  Where to go; or what another page has left, and where.
   * @param {{base: string, isTouch: boolean, canChoose: boolean}} page  `canChoose`: the person can say where files go.
   */
  constructor(memory, start, page) {
    this.#memory = memory;
    this.#base = page.base;
    const isAnew = 'token' in start;
    this.#session = isAnew ? Session.restore(start.token) : new Session(start, entropy());
    this.#outputs = new Outputs(this.#session);
    this.#storing = new Storing(this.#session, memory, (path) => tell({ type: 'file', path }));
    this.#placing = new Placing(this.#storing, page, tell);
    this.#reports = new Reports(this.#storing, tell);
    const own = isAnew ? start.name : undefined;
    this.#consent = new Consent(this.#session, this.#storing, this.#placing, this.#reports, { tell, own });
    this.#standstill = new Standstill(this.#jobs, this.#placing, this.#reports, tell);
    this.#channel = this.#makeChannel();
    this.#meeting = this.#makeMeeting(page.base);
    if (isAnew) {
      this.#isReached = true;
      this.#patience.handleMet();
    } else {
      this.#meeting.open(() => this.#handleReached());
      this.#patience.handleBegun();
    }
    this.#jobs.add(() => {});
  }

  #makeChannel() {
    return new Channel({
      handleOpen: (lane) => this.#jobs.add(() => this.#session.handleOpen(lane, entropy())),
      handleRecord: (lane, data) => this.#jobs.add(() => this.#handleRecord(lane, data)),
      handleClosed: (lane) => this.#jobs.add(() => this.#handleLost(lane)),
      handleSilence: () => this.#jobs.add(() => this.#handleLost()),
      ping: () => this.#jobs.add(() => this.#session.ping()),
      isWaiting: () => this.#jobs.isBusy,
      stay: () => this.#stay(),
    });
  }

  /** @param {string} base */
  #makeMeeting(base) {
    return new Meeting(base, socketPath(), {
      heard: (frame) => this.#jobs.add(() => this.#session.handleFrame(frame)),
      closed: () => this.#jobs.add(() => this.#handleServerGone()),
      attempt: () => this.#jobs.add(() => this.#join()),
      failed: () => this.#jobs.add(() => this.#session.handleLost()),
      gaveUp: () => this.#jobs.add(() => this.#fail('lost')),
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
        return this.#channel.take(this.#direct, message.channel);
      case 'channel-open':
        return this.#channel.takeFar(this.#direct, (record) => tell({ type: 'transmit', record }));
      case 'record':
        return this.#channel.handleRecord(this.#direct, message.data);
      case 'channel-closed':
      case 'lost':
        return this.#jobs.add(() => this.#handleLost(this.#direct));
      case 'awake':
        return this.#jobs.add(() => this.#handleAwake());
      case 'can-download':
        return this.#placing.handleCanDownload(message.isSo);
      case 'accept':
        return this.#jobs.add(() => this.#consent.give(message.target));
      case 'decline':
        return this.#jobs.add(() => this.#stop(() => this.#session.decline(), 'declined'));
      case 'full':
        return this.#handleChoice(message);
      case 'pause':
        return this.#jobs.add(() => this.#pause());
      case 'go-on':
        return this.#standstill.is('paused') && this.#standstill.end();
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
    for (let output = this.#outputs.next(); output && !this.#isOver; output = this.#outputs.next()) {
      try {
        const pending = this.#do(output);
        if (pending) await pending;
      } catch (error) {
        this.#outputs.putBack(output);
        throw error;
      }
    }
  }

  /**
   * @param {any} output  See `Output` in `wire`.
   * @returns {void | Promise<void>}
   */
  #do(output) {
    switch (output.do) {
      case 'say':
        return this.#meeting.say(output.frame);
      case 'search':
        return this.#search(output.limit);
      case 'prove':
        // The sender was there, after all.
        this.#meeting.handleBack();
        return tell({ type: 'proving' });
      case 'connect':
        this.#meeting.handleConnect();
        this.#patience.handleConnect();
        this.#direct = output.lane;
        return tell({ type: 'connect', sdp: output.sdp, iceServers: output.iceServers, channel: output.channel });
      case 'candidate':
        return tell({ type: 'candidate', candidate: { candidate: output.candidate, sdpMid: output.mid } });
      case 'transmit':
        return this.#channel.send(output.lane, this.#session.record());
      case 'relay':
        this.#meeting.handleConnect();
        this.#patience.handleConnect();
        return this.#channel.lanes.takeRelay(this.#base, output);
      case 'turn':
        return this.#handleTurn(output.lane);
      case 'leave':
        return this.#channel.lanes.leave(output.lane);
      case 'ask':
        return this.#ask(output);
      case 'rewind':
        return this.#storing.rewind(output);
      case 'write':
        return this.#storing.write(output);
      case 'commit':
        return this.#storing.commit(output);
      case 'written':
        this.#session.handleWritten(output.len);
        return this.#reports.tellSometimes();
      case 'finish':
        this.#reports.tell();
        tell({ type: 'verifying' });
        this.#patience.allow(doneLinger(), 'no-answer');
        return this.#session.handleFinished();
      case 'done':
        return this.#finish();
      case 'apart':
        return this.#handleApart(output.retryAfter ?? undefined);
      case 'back':
        this.#meeting.handleBack();
        return tell({ type: 'resumed', isAccepted: this.#consent.isGiven });
      case 'fail':
        return this.#fail(output.why, output.retryAfter ?? undefined);
    }
  }

  /** @param {number} lane  The path that is used from here on. */
  #handleTurn(lane) {
    this.#channel.watch();
    tell({ type: 'way', isRelayed: this.#session.isRelayed });
    const held = this.#channel.lanes.release(lane);
    this.#jobs.addFirst(held.map((data) => () => this.#handleRecord(lane, data)));
  }

  /**
   * @param {number} lane
   * @param {unknown} data
   */
  #handleRecord(lane, data) {
    const { lanes } = this.#channel;
    if (lanes.isHolding(lane)) return lanes.hold(lane, data);
    if (!(data instanceof ArrayBuffer) || data.byteLength > this.#session.room) return this.#fail('violation');
    new Uint8Array(this.#memory.buffer, this.#session.staging(), data.byteLength).set(new Uint8Array(data));
    if (this.#session.handleRecord(lane, data.byteLength)) discard(data);
    else lanes.hold(lane, data);
  }

  /**
   * The rendezvous has this side work; others have their turn in between.
   * @param {number} limit  Milliseconds for all of it.
   */
  #search(limit) {
    if (!this.#isSearching) {
      this.#patience.allow(limit, 'server-busy');
      tell({ type: 'working' });
    }
    this.#isSearching = true;
    setTimeout(() => this.#jobs.add(() => this.#session.search()));
  }

  /** @param {{files: number, size: number, isStream: boolean, leftOut: number}} offer */
  async #ask(offer) {
    this.#patience.handleMet();
    const why = await this.#consent.ask(offer);
    if (why) this.#stop(() => this.#session.declineForSpace(), why);
  }

  #handleReached() {
    this.#isReached = true;
    tell({ type: 'reached' });
  }

  /** One that was there may be back in a moment, or another instance of it; one that never was is not waited for. */
  #handleServerGone() {
    if (!this.#isReached) return this.#fail('server-gone');
    this.#patience.handleServerGone();
    this.#session.handleServerGone();
  }

  /** @param {number} [lane]  A path that is gone; without one, nobody is heard on that which is used. */
  #handleLost(lane) {
    const { lane: used, isComplete } = this.#session;
    if (isComplete && (lane ?? used) === (used ?? lane)) this.#finish();
    else if (lane === undefined) this.#session.handleSilence();
    else this.#session.handleLaneLost(lane);
  }

  /** @param {number} [retryAfter]  Seconds. */
  #handleApart(retryAfter) {
    this.#channel.drop();
    this.#patience.handleApart();
    if (!this.#meeting.isApart) tell({ type: 'reconnecting', isFirst: this.#patience.isFirst });
    this.#meeting.handleApart(retryAfter);
  }

  #join() {
    this.#isSearching = false;
    this.#meeting.open();
    this.#session.join(entropy());
  }

  /** The page is looked at again, or the network is another: whether the connection is still there shows within seconds. */
  #handleAwake() {
    this.#meeting.hurry();
    if (this.#channel.isThere && !this.#meeting.isApart) this.#channel.doubt();
  }

  /** @param {any} error */
  #handleStorageError(error) {
    if (this.#isOver) return;
    if (error?.name === 'QuotaExceededError') return this.#standstill.begin('full');
    if (error instanceof Stopped) this.#stop(() => this.#session.cancel(), 'cancelled');
    else this.#stop(() => this.#session.handleStorageError(), 'storage-failed');
  }

  /** Shows the sender that this side is alive although its disk keeps everything else waiting. */
  #stay() {
    if (this.#isOver) return;
    this.#session.ping();
    this.#flush();
  }

  /** @param {{choice: 'retry' | 'target' | 'download' | 'stop', target?: any}} message */
  #handleChoice(message) {
    if (!this.#standstill.is('full')) return;
    if (message.choice === 'stop') return this.#quit(() => this.#session.handleStorageFull(), 'storage-full');
    this.#standstill.end(message);
  }

  /** Nothing is taken any more, and the sender stops when it may send no more. While the two are apart nothing comes anyway. */
  #pause() {
    if (this.#consent.isGiven && !this.#session.isComplete && !this.#meeting.isApart) this.#standstill.begin('paused');
  }

  /** @param {string} why  Something took too long. */
  #handleLate(why) {
    if (this.#session.isComplete) this.#finish();
    else this.#stop(() => this.#session.cancel(), why);
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
    if (this.#session.isLeaving) this.#meeting.tellApart(this.#session, () => this.#session.join(entropy()));
    tell({ type: 'failed', why, retryAfter, kept });
  }

  /** Says what is still to be said; what else there is to do waits. */
  #flush() {
    this.#outputs.flush({ transmit: (lane) => this.#channel.send(lane, this.#session.record()), say: (frame) => this.#meeting.say(frame) });
  }

  #end() {
    this.#isOver = true;
    this.#patience.end();
    this.#channel.stop();
    this.#channel.lanes.leaveRelays();
    // The channel is left to the page, which closes the connection a moment later: closing a channel takes away from the
    // other side what it has not read yet, and that is the reason why it ends.
    this.#meeting.close();
  }
}
