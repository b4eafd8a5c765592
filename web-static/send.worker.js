/** What this page sends from, away from what the person sees: it takes what was chosen, and starts an attempt. */
import { Delivery } from './delivery.js';
import init, { Offer } from './wire/sending.js';

const wire = init({ module_or_path: new URL('wire/sending_bg.wasm', import.meta.url) });

/** @param {object} message */
function tell(message) {
  self.postMessage(message);
}

/** @type {Delivery | undefined} */
let delivery;

/** @param {{files: File[], paths: string[], isText: boolean, base: string, token?: string}} message  A private server asks for a token. */
async function send({ files, paths, isText, base, token }) {
  delivery?.end();
  delivery = undefined;
  try {
    const { memory } = await wire;
    const offer = isText ? Offer.text() : new Offer();
    files.forEach(({ size, lastModified }, index) => {
      offer.push(paths[index], BigInt(size), BigInt(Math.floor(lastModified / 1000)));
    });
    delivery = new Delivery(memory, { files, offer, base, token }, (over) => {
      if (over === delivery) tell({ type: 'over' });
    });
  } catch (error) {
    const isRefused = ['path', 'names'].includes(error?.message);
    tell({ type: 'failed', why: !isRefused ? 'unsupported' : isText ? 'long-text' : 'names' });
  }
}

self.onmessage = ({ data }) => {
  if (data.type === 'send') send(data);
  else if (data.type === 'stop') delivery?.end();
  else delivery?.handle(data);
};

wire.catch(() => tell({ type: 'failed', why: 'unsupported' }));
