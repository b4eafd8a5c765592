/** As much may wait to be sent before a channel that stayed here says that it has room: bytes. */
const LOW_WATER = 2 << 20;

/**
 * The connection to the other device. It lives where the page is; the channel goes to the worker where browsers can do
 * that, and otherwise its messages do.
 */
export class Peer {
  #connection;
  #worker;
  /** @type {RTCDataChannel | undefined} */
  #channel;
  /** Candidates wait for the description that they belong to. */
  #described;
  /** Called once there is an answer to an offer of this side. */
  #handleDescribed = () => {};
  /** What a channel that stayed here was given: bytes. */
  #given = 0;

  /**
   * @param {Worker} worker
   * @param {{sdp?: string, iceServers: RTCIceServer[], channel: number}} offer  Without a description this side offers.
   */
  constructor(worker, { sdp, iceServers, channel }) {
    this.#worker = worker;
    const connection = new RTCPeerConnection({ iceServers });
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) {
        worker.postMessage({ type: 'candidate', candidate: candidate.candidate, mid: candidate.sdpMid ?? '0' });
      } else if (!candidate) {
        worker.postMessage({ type: 'end-of-candidates' });
      }
    };
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === 'failed') worker.postMessage({ type: 'lost' });
    };
    // The two sides agreed on one channel; another is none of theirs.
    connection.ondatachannel = () => worker.postMessage({ type: 'lost' });
    this.#handOver(connection.createDataChannel('send', { negotiated: true, id: channel }));
    this.#described = sdp === undefined ? this.#offer() : this.#answer(sdp);
  }

  /** @param {RTCIceCandidateInit} candidate */
  async try(candidate) {
    await this.#described;
    // One address that is of no use to this browser is no reason to stop.
    await this.#connection.addIceCandidate(candidate).catch(() => {});
  }

  /** @param {string} sdp  The other side's answer to an offer of this one. */
  async takeAnswer(sdp) {
    try {
      await this.#connection.setRemoteDescription({ type: 'answer', sdp });
      this.#handleDescribed();
    } catch {
      this.#worker.postMessage({ type: 'lost' });
    }
  }

  /** @param {Uint8Array} record  For a channel that stayed here. */
  transmit(record) {
    if (this.#channel?.readyState !== 'open') return;
    this.#channel.send(record);
    this.#given += record.length;
    if (this.#channel.bufferedAmount <= LOW_WATER) this.#tellSent();
  }

  /** @returns {Promise<'network' | 'direct' | 'relayed' | undefined>}  How the bytes travel. */
  async path() {
    const stats = await this.#connection.getStats();
    const reports = [...stats.values()];
    const transport = reports.find(({ type }) => type === 'transport');
    const chosen = ({ type, nominated, state }) =>
      type === 'candidate-pair' && nominated && state === 'succeeded';
    const pair = stats.get(transport?.selectedCandidatePairId) ?? reports.find(chosen);
    const local = stats.get(pair?.localCandidateId);
    const remote = stats.get(pair?.remoteCandidateId);
    if (!local || !remote) return undefined;
    if (local.candidateType === 'relay' || remote.candidateType === 'relay') return 'relayed';
    return isNear(remote.address ?? '') ? 'network' : 'direct';
  }

  /** Ends it, after the last words had time to leave. Nothing more is heard of it. */
  close() {
    const connection = this.#connection;
    connection.onconnectionstatechange = connection.onicecandidate = connection.ondatachannel = null;
    if (this.#channel) this.#channel.onmessage = this.#channel.onclose = this.#channel.onopen = null;
    setTimeout(() => this.#connection.close(), 2000);
  }

  async #offer() {
    const described = new Promise((resolve) => (this.#handleDescribed = () => resolve(undefined)));
    try {
      const offer = await this.#connection.createOffer();
      this.#worker.postMessage({ type: 'offer', sdp: offer.sdp });
      await this.#connection.setLocalDescription(offer);
    } catch {
      this.#worker.postMessage({ type: 'lost' });
    }
    await described;
  }

  /** @param {string} sdp */
  async #answer(sdp) {
    try {
      await this.#connection.setRemoteDescription({ type: 'offer', sdp });
      const answer = await this.#connection.createAnswer();
      // Said before the candidates are looked for, so that they follow it.
      this.#worker.postMessage({ type: 'answer', sdp: answer.sdp });
      await this.#connection.setLocalDescription(answer);
    } catch {
      this.#worker.postMessage({ type: 'lost' });
    }
  }

  #tellSent() {
    this.#worker.postMessage({ type: 'sent', total: this.#given - (this.#channel?.bufferedAmount ?? 0) });
  }

  /**
   * A channel can be given away only by the task that made it.
   * @param {RTCDataChannel} channel
   */
  #handOver(channel) {
    channel.binaryType = 'arraybuffer';
    try {
      this.#worker.postMessage({ type: 'channel', channel }, [/** @type {any} */ (channel)]);
      return;
    } catch {
      this.#channel = channel;
    }
    channel.bufferedAmountLowThreshold = LOW_WATER;
    channel.onbufferedamountlow = () => this.#tellSent();
    channel.onopen = () => this.#worker.postMessage({ type: 'channel-open' });
    channel.onclose = () => this.#worker.postMessage({ type: 'channel-closed' });
    channel.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#worker.postMessage({ type: 'record', data }, [data]);
    };
  }
}

/** @param {string} address  Whether it belongs to a network of somebody's own. */
function isNear(address) {
  return /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1$|f[cd]|fe[89ab])/i.test(address);
}
