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

  /**
   * @param {Worker} worker
   * @param {{sdp: string, iceServers: RTCIceServer[], channel: number}} offer
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
    this.#described = this.#answer(sdp);
  }

  /** @param {RTCIceCandidateInit} candidate */
  async try(candidate) {
    await this.#described;
    // One address that is of no use to this browser is no reason to stop.
    await this.#connection.addIceCandidate(candidate).catch(() => {});
  }

  /** @param {Uint8Array} record  For a channel that stayed here. */
  transmit(record) {
    if (this.#channel?.readyState === 'open') this.#channel.send(record);
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

  /** Ends it, after the last words had time to leave. */
  close() {
    this.#connection.onconnectionstatechange = null;
    setTimeout(() => this.#connection.close(), 2000);
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
