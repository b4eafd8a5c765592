/**
 * Sends more over a path than anybody may before its turn. Its argument says nothing; prints one line of JSON: how much was kept of it
 * at most, in bytes, how often it was said to be lost, and how much is kept then.
 */
import { Lanes } from '../../web-static/lanes.js';

const told = { most: 0, lost: 0, left: 0 };
const path = { readyState: 'open', send: () => {} };
const lanes = new Lanes({
  opened: () => {},
  closed: () => (told.lost += 1),
  heard: (lane, data) => {
    lanes.hold(lane, data);
    if (lanes.isHolding(lane)) told.most += data.byteLength;
  },
});
lanes.take(7, path);
for (let record = 0; record < 1_000; record += 1) path.onmessage?.({ data: new ArrayBuffer(65_600) });
told.left = lanes.release(7).length;
console.log(JSON.stringify(told));
