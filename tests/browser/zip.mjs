/**
 * Writes archives of the page's own making, without a browser. The only argument is JSON: `{out, files}` with pairs of a path
 * and a length, or `{out, count}` for so many empty ones. Bytes of files are zeros that are never written, so an archive may be larger than the disk. Prints as JSON how
 * long the archive was said to be and how long it is.
 */
import { open } from 'node:fs/promises';
import { zip, zipLength } from '../../web-static/zip.js';

const { out, count, files = Array.from({ length: count }, (_, index) => [String(index), 0]) } = JSON.parse(process.argv[2]);

/** What is as long as a file and reads as nothing: only its length matters here. */
const hollow = (size) => ({ size, stream: () => new Blob([]).stream() });
const entries = files.map(([path, size]) => ({ path, content: hollow(size) }));
const archive = await open(out, 'w');
let len = 0;
for await (const part of zip(entries, new Date(2026, 0, 2, 3, 4, 6))) {
  if (part instanceof Uint8Array) {
    await archive.write(part, 0, part.length, len);
    len += part.length;
  } else {
    len += part.size;
  }
}
await archive.truncate(len);
await archive.close();
console.log(JSON.stringify({ said: zipLength(entries), len }));
