/**
 * Where received bytes wait until they are saved, or go at once. A spool takes files one after the other: `begin`, `write`
 * in order, `end`. What `write` is given lies in memory that is used again, so what is not written before it returns is
 * copied.
 *
 * @typedef {object} Spool
 * @property {boolean} isPlace  Whether it is where the person wants the files.
 * @property {string} [name]  Where what is stored stays when this page does not, it is found by.
 * @property {(file: {key: string, path: string, size?: number, kept?: number}) => Promise<void>} begin  Without a size when nobody
 *   knows it. Of what is stored under the key already, so many bytes are kept.
 * @property {(bytes: Uint8Array) => void | Promise<void>} write  May be done again after it found no room; so may `end`.
 * @property {(len: number) => void | Promise<void>} rewind  Only the first `len` bytes of the file stay.
 * @property {() => Promise<Blob | undefined>} end  The file, complete; nothing where it cannot be read again.
 * @property {() => Promise<Blob>} [content]  What is there of the file that is being written, for another spool.
 * @property {(key: string) => Promise<Blob | undefined>} [held]  What is stored under a key.
 * @property {() => Promise<void>} [drop]  Forgets the file that is being written, or that was the last.
 * @property {() => void} [interrupt]  Lets fail what waits for somebody.
 * @property {() => Promise<void>} [leave]  Stops using it: what is stored stays.
 * @property {() => Promise<void>} clear  Forgets everything.
 */
import { Database } from './spool/database.js';
import { Memory } from './spool/memory.js';
import { OriginFiles } from './spool/origin.js';
import { claim, leftBehind, newName, release } from './spool/names.js';
import { attempt } from './spool/probe.js';

/** Up to this size everything stays in memory: bytes. */
const MEMORY_LEN = 16 << 20;
/** How much may stay in memory when there is nothing else, on a phone and elsewhere: bytes. */
const LAST_RESORT_LEN = { touch: 100 << 20, other: 256 << 20 };

/**
 * The first spool that this browser can do, found out by trying.
 *
 * @param {number} size  Bytes; 0 when nobody knows.
 * @param {boolean} isUnknown  Whether nobody knows the size.
 * @returns {Promise<Spool | undefined>}  Nothing when the browser stores nothing for a page.
 */
export async function openSpool(size, isUnknown) {
  if (!isUnknown && size <= MEMORY_LEN) return new Memory(MEMORY_LEN);
  return (await attempt(async () => OriginFiles.open(await newName()))) ?? attempt(async () => Database.open(await newName()));
}

/**
 * What an earlier attempt has left of these files, and no other tab uses.
 *
 * @param {{key: string}[]} files
 * @param {string} [own]  What this tab has used before.
 * @returns {Promise<Spool | undefined>}  The one with the most of them.
 */
export async function findSpool(files, own) {
  const { directories, databases } = await leftBehind();
  const openers = [
    ...directories.map((name) => ({ name, open: () => OriginFiles.reopen(name) })),
    ...databases.map((name) => ({ name, open: () => Database.reopen(name) })),
  ];
  let best = { spool: /** @type {Spool | undefined} */ (undefined), len: 0 };
  for (const { name, open } of openers) {
    if (!(await claim(name, name === own))) continue;
    const spool = await attempt(open);
    if (!spool) {
      release(name);
      continue;
    }
    const len = (await attempt(() => lenHeld(spool, files))) ?? 0;
    const worse = len > best.len ? best.spool : spool;
    if (len > best.len) best = { spool, len };
    await worse?.leave?.();
  }
  return best.spool;
}

/**
 * @param {Spool} spool
 * @param {{key: string}[]} files
 */
async function lenHeld(spool, files) {
  let len = 0;
  for (const { key } of files) len += (await spool.held?.(key))?.size ?? 0;
  return len;
}

/**
 * Memory, when there is nothing else.
 *
 * @param {number} size  Bytes; 0 when nobody knows.
 * @param {boolean} isTouch  Whether this is a phone or a tablet.
 * @returns {Spool | undefined}  Nothing when that is too much.
 */
export function lastResort(size, isTouch) {
  const limit = isTouch ? LAST_RESORT_LEN.touch : LAST_RESORT_LEN.other;
  return size <= limit ? new Memory(limit) : undefined;
}
