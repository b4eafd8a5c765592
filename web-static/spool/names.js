/** What the storage of an attempt is called, and which of it nobody needs any more. */
import { attempt } from './probe.js';

/** What was received this long ago and never cleared is deleted: milliseconds. */
const KEPT_FOR = 24 * 60 * 60 * 1000;
const PREFIX = 'send-';

export function newName() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `${PREFIX}${Date.now()}-${random[0].toString(36)}${random[1].toString(36)}`;
}

/** @param {string} name */
function isOld(name) {
  return name.startsWith(PREFIX) && Date.now() - parseInt(name.slice(PREFIX.length), 10) > KEPT_FOR;
}

/** Deletes what earlier visits have left. */
export async function sweep() {
  await attempt(async () => {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) {
      // Another tab that is still receiving holds its own.
      if (isOld(name)) await attempt(() => root.removeEntry(name, { recursive: true }));
    }
  });
  await attempt(async () => {
    for (const { name } of await indexedDB.databases()) {
      if (name && isOld(name)) indexedDB.deleteDatabase(name);
    }
  });
}
