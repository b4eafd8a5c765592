/** What went wrong, and what to do about it: a title and a text for every reason that the worker gives. */
const FAILURES = {
  'unknown-code': ['This code leads nowhere', 'It may be mistyped, used already or expired. Ask the sender for the code that they see now.'],
  'wrong-code': ['The code was not right', 'Nothing was disclosed, and this code is used up. The sender sees a new one: ask for it.'],
  expired: ['The code has expired', 'Ask the sender for a new one.'],
  'already-tried': ['This code was tried already', 'A code works once. Ask the sender for a new one.'],
  'too-often': ['Too many attempts', 'The server asks you to wait.'],
  'server-busy': ['The server is busy', 'Try again in a moment.'],
  'server-gone': ['The server cannot be reached', 'Check that this device is online, then try again.'],
  'no-answer': ['The other side does not answer', 'Ask the sender whether they still wait, and for the code that they see now.'],
  'no-path': ['No way to the other device', 'Both reached the server, but not each other. Put both on the same network, switch off VPNs, then ask the sender to send again.'],
  'no-channel': ['The two devices do not fit', 'The connection that was offered cannot be used by this browser. Update the browser, or receive with the command line.'],
  unverified: ['The other side could not be verified', 'Somebody may have interfered. Nothing was disclosed. Ask the sender to send again, with a new code.'],
  version: ['The versions do not fit', 'This page and the sender speak different versions. Reload the page; if that does not help, the sender should update.'],
  left: ['The sender has left', 'Ask them to send again, and stay on until it is done.'],
  lost: ['The connection broke', 'One of the two devices went offline or to sleep. Nothing incomplete was kept. Ask the sender to send again.'],
  'sender-cancelled': ['The sender has stopped it', 'Nothing incomplete was kept.'],
  source: ['The sender could not read a file', 'It was changed or became unreadable while it was sent. Ask them to send again.'],
  damaged: ['What arrived is not what was sent', 'The check failed, and everything received was deleted. Ask the sender to send again.'],
  'sender-failed': ['The sender could not go on', 'Ask what their side says, and to send again.'],
  'bad-names': ['Refused', 'The offer contains names that are not safe to save. Nothing was received.'],
  violation: ['Stopped for safety', 'The other side sent something that it must not. Everything received was deleted.'],
  'storage-full': ['There is no room left', 'This browser has no more space. Free some on this device and ask the sender to send again.'],
  'storage-failed': ['The browser could not store the file', 'Try a window that is not private, or another browser. Then ask the sender to send again.'],
  'no-storage': ['Too large for this page', 'Over plain http or in a private window this browser can keep only small files. Open the page over https, or receive with the command line.'],
  'too-many': ['Too many files for a browser', 'More than 1,000 cannot be saved one by one. Ask the sender for an archive, or receive with the command line.'],
  declined: ['Declined', 'Nothing was received, and the sender was told.'],
  cancelled: ['Cancelled', 'Nothing was kept. To receive after all, ask the sender for the code that they see now.'],
  unsupported: ['This browser cannot receive', 'It lacks WebRTC or WebAssembly, or Lockdown Mode has switched them off. Use a current browser, not one inside another app.'],
};

/** What is wrong with what was typed. */
const MISTAKES = {
  empty: 'Type the code first.',
  'not-a-code': 'This is not a code. A code looks like 48-2093.',
  'needs-dash': 'Type the dash too, as in 481-2093.',
  'code-front': 'The part before the dash has 2 to 6 digits and does not begin with 0.',
  'code-short': 'The part after the dash is too short: at least 4 digits or 2 words.',
  'code-long': 'The part after the dash is too long.',
  'unknown-word': 'One of the words is not one that codes are made of. Check the spelling.',
  'not-a-link': 'This is not a link to receive with.',
  'link-cut-off': 'The end of the link is missing. Copy the whole link, or scan it again.',
  'link-unknown': 'This link is of an unknown form: a newer version of this page may understand it.',
  'other-page': 'This link belongs to another address. Open it in the address bar instead.',
};

/**
 * @param {string} why
 * @param {number} [retryAfter]  Seconds.
 */
export function failure(why, retryAfter) {
  const [title, text] = FAILURES[why] ?? ['Something went wrong', 'Reload the page, and ask the sender to send again.'];
  return { title, text: retryAfter ? `${text} Try again in ${retryAfter} seconds.` : text };
}

/** @param {string} why */
export function mistake(why) {
  return MISTAKES[why] ?? MISTAKES['not-a-code'];
}
