/**
 * Looks for the other side by a clock of its own, without a browser. Prints as JSON when it was looked for, in milliseconds, and
 * whether it was given up.
 */
import { mock } from 'node:test';
import { Rejoin } from '../../web-static/rejoin.js';

const told = { attempts: [], hurried: 0, gaveUp: 0 };
let now = 0;
mock.timers.enable({ apis: ['setTimeout'] });
performance.now = () => now;
Math.random = () => 0.5;

const pass = (time) => {
  for (let passed = 0; passed < time; passed += 100) {
    now += 100;
    mock.timers.tick(100);
  }
};
const rejoin = new Rejoin({
  attempt: () => told.attempts.push(now),
  // Nobody comes.
  failed: () => rejoin.handleApart(),
  gaveUp: () => (told.gaveUp = now),
});

rejoin.handleApart();
pass(600_000 + 20_000);

rejoin.handleApart(20);
const before = told.attempts.length;
rejoin.hurry();
told.hurried = told.attempts.length - before;
rejoin.handleBack();
pass(60_000);
told.afterBack = told.attempts.length - before - told.hurried;
console.log(JSON.stringify(told));
