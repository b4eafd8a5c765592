/**
 * Makes a download of bytes that a page has: the browser asks for an address that only the two know, and each piece is asked
 * of the page when the browser wants it. It answers for nothing else.
 */

/** How long a page may take for a piece: milliseconds. */
const PIECE_DEADLINE = 60_000;

/** @typedef {{port: MessagePort, name: string, size?: number}} Download */

/** @type {Map<string, Download>} */
const downloads = new Map();

self.addEventListener('install', () => self.skipWaiting());

self.addEventListener('message', ({ data, ports: [port] }) => {
  // A message without a download only keeps this worker from being stopped.
  if (!data?.address || !port) return;
  downloads.set(data.address, { port, name: data.name, size: data.size });
  port.postMessage('ready');
});

self.addEventListener('fetch', (event) => {
  const download = downloads.get(event.request.url);
  if (!download) return;
  downloads.delete(event.request.url);
  event.respondWith(new Response(stream(download.port), { headers: headers(download) }));
});

/** @param {Download} download */
function headers({ name, size }) {
  // RFC 8187: everything but what it allows is a percent and two digits.
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
  return {
    'Content-Type': 'application/octet-stream',
    ...(size === undefined ? {} : { 'Content-Length': String(size) }),
    'Content-Disposition': `attachment; filename*=UTF-8''${encoded}`,
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
  };
}

/** @param {MessagePort} port */
function stream(port) {
  return new ReadableStream(
    {
      async pull(controller) {
        const piece = await ask(port);
        if (piece === null) controller.close();
        else if (piece instanceof Uint8Array) controller.enqueue(piece);
        else controller.error(new Error('the page has stopped'));
      },
      cancel: () => port.postMessage('cancel'),
    },
    { highWaterMark: 0 },
  );
}

/**
 * @param {MessagePort} port
 * @returns {Promise<unknown>}  Bytes, nothing at the end, or anything else when the page has given up.
 */
function ask(port) {
  return new Promise((resolve) => {
    const late = () => setTimeout(() => resolve('late'), PIECE_DEADLINE);
    let timer = late();
    port.onmessage = ({ data }) => {
      clearTimeout(timer);
      if (data === 'later') timer = late();
      else resolve(data);
    };
    port.postMessage('more');
  });
}
