/**
 * Writes to every place that the page keeps files in, takes back what was written, and reads what is left, in the worker of a
 * page of Chromium: only there are all of them to be had. The only argument is JSON: `{executable, address}`. Prints one line
 * of JSON: what was found wrong.
 */
import { Browser } from './driver.mjs';

const { executable, address } = JSON.parse(process.argv[2]);
const browser = await Browser.launch('chromium', executable);
const told = { problems: [] };

/** Runs in the worker. Gives what is wrong. */
async function tryAll() {
  const problems = [];
  const load = (name) => import(new URL(`spool/${name}.js`, self.location.href).href);
  const [{ Database }, { Disk }, { Memory }, { OriginFiles }] = await Promise.all(['database', 'disk', 'memory', 'origin'].map(load));
  const { Storing } = await import(new URL('storing.js', self.location.href).href);
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('chosen', { create: true });
  const makers = {
    memory: async () => new Memory(64 << 20),
    origin: () => OriginFiles.open('send-test'),
    database: () => Database.open('send-test'),
    disk: async () => new Disk({ folder }),
  };

  const CHUNK = 65_536;
  const filled = (len, value) => new Uint8Array(len).fill(value);
  const write = async (spool, count, value) => {
    for (let index = 0; index < count; index += 1) await spool.write(filled(CHUNK, value));
  };
  const expect = async (what, blob, ...runs) => {
    const found = new Uint8Array(await blob.arrayBuffer());
    let at = 0;
    for (const [len, value] of runs) {
      if (!found.subarray(at, at + len).every((byte) => byte === value)) problems.push(`${what}: not ${value} from ${at}`);
      at += len;
    }
    if (found.length !== at) problems.push(`${what}: ${found.length} bytes instead of ${at}`);
  };

  for (const [name, make] of Object.entries(makers)) {
    const spool = await make();
    // In front of, at and behind the places where parts meet, and with nothing left.
    for (const kept of [0, 100, 16 * CHUNK - 1, 16 * CHUNK, 16 * CHUNK + 100, 32 * CHUNK, 40 * CHUNK - 1, 40 * CHUNK]) {
      await spool.begin({ key: 'a', path: `a/${kept}.bin`, size: 0 });
      await write(spool, 40, 1);
      await spool.rewind(kept);
      if (spool.content) await expect(`${name} so far ${kept}`, await spool.content(), [kept, 1]);
      await write(spool, 3, 2);
      await spool.write(filled(7, 3));
      await expect(`${name} ${kept}`, await spool.end(), [kept, 1], [3 * CHUNK, 2], [7, 3]);
    }
    // What is left is there for a page after this one, to go on with or to begin anew.
    if (spool.held) {
      await spool.begin({ key: 'b', path: 'b', size: 0 });
      await write(spool, 20, 4);
      await spool.end();
      await spool.leave();
      const again = await (name === 'origin' ? OriginFiles : Database).reopen(spool.name);
      await expect(`${name} held`, await again.held('b'), [20 * CHUNK, 4]);
      if (await again.held('c')) problems.push(`${name} holds what it never had`);
      for (const [kept, key] of [[20 * CHUNK, 'b'], [17 * CHUNK, 'b'], [0, 'b'], [0, 'c']]) {
        await again.begin({ key, path: 'b', size: 0, kept });
        await write(again, 1, 5);
        await expect(`${name} again ${kept}`, await again.end(), [kept, 4], [CHUNK, 5]);
      }
      await again.clear();
    } else {
      await spool.clear();
    }
  }

  // A file that is begun in one place goes on in another; files that are complete stay where they are.
  const [len, memory] = [20 * CHUNK, new WebAssembly.Memory({ initial: 2 })];
  const session = { file: (number) => JSON.stringify({ path: `moved-${number}`, size: len, key: `${number}` }), staging: () => 0 };
  const storing = new Storing(session, memory, () => {});
  await storing.move(await makers.origin());
  const give = async (file, count, value) => {
    for (let index = 0; index < count; index += 1) {
      new Uint8Array(memory.buffer, 0, CHUNK).fill(value);
      await storing.write({ file, start: 0, len: CHUNK });
    }
  };
  await give(0, 20, 1);
  await storing.commit({ file: 0, len, sha256: '', isHeld: false });
  await give(1, 8, 2);
  await storing.move(await makers.database());
  await give(1, 7, 3);
  await storing.move(new Disk({ folder }));
  await give(1, 5, 4);
  await storing.commit({ file: 1, len, sha256: '', isHeld: false });
  const [first, second] = storing.received;
  await expect('the first file', first.content, [len, 1]);
  await expect('the second file', second.content, [8 * CHUNK, 2], [7 * CHUNK, 3], [5 * CHUNK, 4]);
  if (first.isPlaced || !second.isPlaced) problems.push('what was chosen is where it is to be, and nothing else');
  if (storing.done !== 2 * len) problems.push(`${storing.done} bytes are said to be stored`);
  await storing.clear();

  // What a page has left is for another tab, also while the page still shows why.
  const { openSpool } = await import(new URL('spool.js', self.location.href).href);
  const held = async (name) => (await navigator.locks.query()).held.some((lock) => lock.name === name);
  for (const end of ['leave', 'clear']) {
    const spool = await openSpool(1 << 30, false);
    if (!(await held(spool.name))) problems.push('another tab can have what is in use');
    await spool[end]();
    if (await held(spool.name)) problems.push(`no other tab can have it: ${end}`);
    if (end === 'leave') await (await OriginFiles.reopen(spool.name)).clear();
  }
  const names = [];
  for await (const name of root.keys()) names.push(name);
  if (names.join() !== 'chosen') problems.push(`left behind: ${names}`);
  const databases = (await indexedDB.databases()).map(({ name }) => name);
  if (databases.length > 0) problems.push(`left behind: ${databases}`);
  return problems;
}

try {
  const page = await browser.page();
  await page.goto(address);
  // The worker starts when somebody is about to type.
  await page.page.$eval('#code', (input) => input.dispatchEvent(new Event('input')));
  told.problems = await (await page.worker()).evaluate(tryAll);
} catch (error) {
  told.error = String(error);
}
console.log(JSON.stringify(told));
await browser.close();
