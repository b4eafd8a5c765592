/**
 * An archive of files as they are (PKWARE APPNOTE 6.3.10, method 0), whose length is known before anything is read. Sizes and
 * checksums stand in front of each file, so that every program can unpack it, also while it arrives.
 *
 * @typedef {{path: string, content: Blob}} Entry
 */
import { crc32Of } from './crc32.js';

/** What a field of 32 bits, or of 16, cannot hold is in a field of 64 elsewhere (§4.3.9, "zip64"). */
const MAX_32 = 0xffffffff;
const MAX_16 = 0xffff;
const LOCAL_LEN = 30;
const CENTRAL_LEN = 46;
const END_LEN = 22;
const END64_LEN = 56 + 20;
/** Header of an extra field, and 8 bytes for each number in it. */
const EXTRA_LEN = 4;
/** Names are UTF-8. */
const FLAGS = 1 << 11;
/** Versions of the format: 2.0, and 4.5 for zip64; made by Unix, where a mode belongs to each file. */
const VERSION = 20;
const VERSION_64 = 45;
const MADE_BY_UNIX = 3 << 8;
const MODE = 0o100644;

/**
 * @param {readonly Entry[]} entries
 * @returns {number}  Bytes of the archive of these.
 */
export function zipLength(entries) {
  const { files, end } = layout(entries);
  return end + files.reduce((sum, file) => sum + centralLength(file), 0) + (needs64(files, end) ? END64_LEN : 0) + END_LEN;
}

/**
 * @param {readonly Entry[]} entries  With paths that lead to no place outside.
 * @param {Date} [made]
 * @returns {AsyncGenerator<Uint8Array | Blob>}  The archive in parts, each file as it was given.
 */
export async function* zip(entries, made = new Date()) {
  const { files, end } = layout(entries);
  const time = dosTime(made);
  const directory = [];
  for (const file of files) {
    const crc = await crc32Of(file.content);
    yield local(file, crc, time);
    yield file.content;
    directory.push(central(file, crc, time));
  }
  yield* directory;
  const len = directory.reduce((sum, { length }) => sum + length, 0);
  if (needs64(files, end)) yield end64(files.length, len, end);
  yield ending(files.length, len, end);
}

/** @typedef {{name: Uint8Array, content: Blob, size: number, offset: number}} Placed */

/**
 * @param {readonly Entry[]} entries
 * @returns {{files: Placed[], end: number}}  Where each begins, and where the directory does.
 */
function layout(entries) {
  const encoder = new TextEncoder();
  let end = 0;
  const files = entries.map(({ path, content }) => {
    const file = { name: encoder.encode(path), content, size: content.size, offset: end };
    end += LOCAL_LEN + file.name.length + (file.size >= MAX_32 ? EXTRA_LEN + 16 : 0) + file.size;
    return file;
  });
  return { files, end };
}

/**
 * @param {Placed[]} files
 * @param {number} end
 */
function needs64(files, end) {
  const len = files.reduce((sum, file) => sum + centralLength(file), 0);
  return files.length >= MAX_16 || end >= MAX_32 || len >= MAX_32;
}

/** @param {Placed} file */
function centralLength({ name, size, offset }) {
  return CENTRAL_LEN + name.length + extra(wide(size, offset)).length;
}

/**
 * @param {number} size
 * @param {number} offset
 * @returns {number[]}  What the directory needs 64 bits for, in this order.
 */
function wide(size, offset) {
  return [...(size >= MAX_32 ? [size, size] : []), ...(offset >= MAX_32 ? [offset] : [])];
}

/** @param {number[]} numbers  The extra field 1 for these; nothing for none. */
function extra(numbers) {
  if (numbers.length === 0) return new Uint8Array(0);
  const writer = new Writer(EXTRA_LEN + 8 * numbers.length).u16(1).u16(8 * numbers.length);
  for (const number of numbers) writer.u64(number);
  return writer.bytes;
}

/**
 * @param {Placed} file
 * @param {number} crc
 * @param {number} time
 */
function local({ name, size }, crc, time) {
  const more = extra(size >= MAX_32 ? [size, size] : []);
  const writer = new Writer(LOCAL_LEN + name.length + more.length).u32(0x04034b50);
  return common(writer, { name, size, crc, time, more, isWide: more.length > 0 }).append(name).append(more).bytes;
}

/**
 * @param {Placed} file
 * @param {number} crc
 * @param {number} time
 */
function central({ name, size, offset }, crc, time) {
  const more = extra(wide(size, offset));
  const isWide = more.length > 0;
  const writer = new Writer(CENTRAL_LEN + name.length + more.length).u32(0x02014b50);
  writer.u16(MADE_BY_UNIX | (isWide ? VERSION_64 : VERSION));
  common(writer, { name, size, crc, time, more, isWide });
  // No comment, on the first disk, and not said to be text; then the mode.
  writer.u16(0).u16(0).u16(0).u32((MODE << 16) >>> 0).u32(Math.min(offset, MAX_32));
  return writer.append(name).append(more).bytes;
}

/**
 * What both headers of a file have in common.
 * @param {Writer} writer
 * @param {{name: Uint8Array, size: number, crc: number, time: number, more: Uint8Array, isWide: boolean}} file
 */
function common(writer, { name, size, crc, time, more, isWide }) {
  const shown = Math.min(size, MAX_32);
  writer.u16(isWide ? VERSION_64 : VERSION).u16(FLAGS).u16(0).u32(time);
  return writer.u32(crc).u32(shown).u32(shown).u16(name.length).u16(more.length);
}

/**
 * @param {number} count
 * @param {number} len  Of the directory.
 * @param {number} offset  Of the directory.
 */
function end64(count, len, offset) {
  const writer = new Writer(END64_LEN).u32(0x06064b50).u64(END64_LEN - 20 - 12);
  writer.u16(MADE_BY_UNIX | VERSION_64).u16(VERSION_64).u32(0).u32(0).u64(count).u64(count).u64(len).u64(offset);
  return writer.u32(0x07064b50).u32(0).u64(offset + len).u32(1).bytes;
}

/**
 * @param {number} count
 * @param {number} len
 * @param {number} offset
 */
function ending(count, len, offset) {
  const shown = Math.min(count, MAX_16);
  const writer = new Writer(END_LEN).u32(0x06054b50).u16(0).u16(0).u16(shown).u16(shown);
  return writer.u32(Math.min(len, MAX_32)).u32(Math.min(offset, MAX_32)).u16(0).bytes;
}

/** @param {Date} date  As MS-DOS wrote it: from 1980 on, in steps of two seconds; the date is the upper half. */
function dosTime(date) {
  const day = ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  return ((day << 16) | time) >>> 0;
}

/** Numbers with the lowest byte first, one behind the other. */
class Writer {
  bytes;
  #view;
  #at = 0;

  /** @param {number} len */
  constructor(len) {
    this.bytes = new Uint8Array(len);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** @param {number} number */
  u16(number) {
    this.#view.setUint16(this.#at, number, true);
    this.#at += 2;
    return this;
  }

  /** @param {number} number */
  u32(number) {
    this.#view.setUint32(this.#at, number, true);
    this.#at += 4;
    return this;
  }

  /** @param {number} number */
  u64(number) {
    this.#view.setBigUint64(this.#at, BigInt(number), true);
    this.#at += 8;
    return this;
  }

  /** @param {Uint8Array} bytes */
  append(bytes) {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }
}
