/** Where the bytes are, away from what the person sees: it reads what was typed, and loads what receives once somebody is about to. */
import init, { Ticket } from './wire/wire.js';

const wire = init({ module_or_path: new URL('wire/wire_bg.wasm', import.meta.url) });

/** @type {Ticket | undefined} */
let ticket;
/** @type {import('./receiving.js').Reception | undefined} */
let reception;

/** @param {object} message */
function tell(message) {
  self.postMessage(message);
}

const load = () => Promise.all([import('./receiving.js'), import('./spool/names.js')]);

/** @param {{text: string, salt: Uint8Array}} message */
async function look({ text, salt }) {
  await wire;
  try {
    ticket = Ticket.parse(text);
    tell({ type: 'found', trace: ticket.trace(salt), origin: ticket.origin });
    // On its way while the person reads; what fails now is loaded again on the tap.
    load().then(([, { sweep }]) => sweep(), () => {});
  } catch (error) {
    tell({ type: 'refused', why: error.message });
  }
}

/** @param {{base: string, isTouch: boolean, canChoose: boolean, left?: {token: number[], name: string}}} page  `left` by the page before it was loaded anew. */
async function receive({ left, ...page }) {
  const { memory } = await wire;
  await reception?.clear();
  try {
    const [{ Reception }] = await load();
    if (left) reception = new Reception(memory, { ...left, token: Uint8Array.from(left.token) }, page);
    else if (ticket) reception = new Reception(memory, ticket, page);
  } catch {
    tell({ type: 'failed', why: 'server-gone' });
  }
}

self.onmessage = ({ data }) => {
  if (data.type === 'look') look(data);
  else if (data.type === 'receive') receive(data);
  else if (data.type === 'clear') reception?.clear();
  else reception?.handle(data);
};

wire.catch(() => tell({ type: 'failed', why: 'unsupported' }));
