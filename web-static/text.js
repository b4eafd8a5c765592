/** What the page says, in the language of the person: texts, numbers, sizes and times. */

/** The languages that there are texts for, by their own names. The first one is in the page itself. */
const LANGUAGES = new Map([
  ['en', 'English'],
  ['de', 'Deutsch'],
  ['es', 'Español'],
  ['fr', 'Français'],
  ['ja', '日本語'],
  ['zh-Hans', '简体中文'],
]);
const KEY = 'send-language';
const SIZES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'];
const SECONDS_PER_MINUTE = 60;
const SECONDS_PER_HOUR = 3600;

let language = 'en';
/** What is known of: the texts of the page, and of its parts. */
const files = [''];
/** @type {Map<string, string>} */
let messages = new Map();
let plurals = new Intl.PluralRules(language);

/** The languages to choose from: pairs of a tag and a name. */
export const languages = () => [...LANGUAGES];

/** The tag of the language that is spoken. */
export const spoken = () => language;

/** Learns the language that was chosen here before, or the best of those that the browser asks for. */
export async function speakPreferred() {
  await speak(remembered() ?? preferred(navigator.languages));
}

/**
 * Learns a language, and says everything that stands in the page itself in it.
 *
 * @param {string} tag  One of `languages`.
 * @throws when its texts cannot be had.
 */
export async function speak(tag) {
  messages = new Map((await Promise.all(files.map((file) => load(file, tag)))).flat());
  language = tag;
  plurals = new Intl.PluralRules(tag);
  document.documentElement.lang = tag;
  sayStanding();
}

/**
 * Learns the texts of a part of the page that is loaded when it is needed, in the language that is spoken.
 *
 * @param {string} part  A directory of `locales`.
 * @throws when its texts cannot be had.
 */
export async function learn(part) {
  const file = `${part}/`;
  if (files.includes(file)) return;
  const learned = await load(file, language);
  files.push(file);
  messages = new Map([...messages, ...learned]);
  sayStanding();
}

/**
 * @param {string} file  A directory of `locales`, or nothing.
 * @param {string} tag
 * @returns {Promise<[string, string][]>}
 */
async function load(file, tag) {
  const response = await fetch(new URL(`locales/${file}${tag}.json`, import.meta.url));
  return Object.entries(await response.json());
}

/** Says everything that stands in the page itself, as far as it is known. */
function sayStanding() {
  for (const part of document.querySelectorAll('[data-text]')) {
    if (hasText(part.dataset.text)) part.textContent = text(part.dataset.text);
  }
  for (const part of document.querySelectorAll('[data-label]')) {
    if (hasText(part.dataset.label)) part.setAttribute('aria-label', text(part.dataset.label));
  }
}

/** @param {string} tag  What `speakPreferred` will choose from now on. */
export function rememberLanguage(tag) {
  try {
    localStorage.setItem(KEY, tag);
  } catch {
    // Then it is spoken for as long as the page is open.
  }
}

function remembered() {
  try {
    const tag = localStorage.getItem(KEY) ?? '';
    return LANGUAGES.has(tag) ? tag : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {readonly string[]} wanted  Language tags, the best first.
 * @returns {string}  The first of ours with the same language in the same script; Chinese has two.
 */
export function preferred(wanted) {
  const written = (/** @type {string} */ tag) => {
    const { language, script } = new Intl.Locale(tag).maximize();
    return `${language}-${script}`;
  };
  for (const tag of wanted) {
    const found = [...LANGUAGES.keys()].find((own) => written(own) === written(tag));
    if (found) return found;
  }
  return 'en';
}

/** @param {string} key */
export const hasText = (key) => messages.has(key);

/**
 * The text for `key`, with `values` in the places of their names. With a `count` it is the form for so many.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function text(key, values = {}) {
  const isCounted = typeof values.count === 'number';
  const form = isCounted ? `${key}.${plurals.select(Number(values.count))}` : key;
  const message = messages.get(form) ?? messages.get(`${key}.other`) ?? '';
  return message.replace(/\{(\w+)\}/g, (_, name) => shown(values[name] ?? ''));
}

/** @param {string | number} value */
function shown(value) {
  return typeof value === 'number' ? new Intl.NumberFormat(language).format(value) : value;
}

/** @param {string} name  From elsewhere: its direction stays its own, whatever it stands in. */
export const isolated = (name) => `\u2068${name}\u2069`;

/** @param {number} size  Bytes. */
export const bytes = (size) => quantity(size, '');

/** @param {number} rate  Bytes per second. */
export const speed = (rate) => quantity(rate, '-per-second');

/**
 * @param {number} value
 * @param {'' | '-per-second'} per
 */
function quantity(value, per) {
  let size = 0;
  while (value >= 999.95 && size < SIZES.length - 1) {
    value /= 1000;
    size += 1;
  }
  // A single byte is spelled out: its short form has no plural in some languages.
  const unitDisplay = size === 0 && !per ? 'long' : 'short';
  const maximumFractionDigits = size === 0 ? 0 : 1;
  return unit(value, SIZES[size] + per, { unitDisplay, maximumFractionDigits });
}

/** @param {number} seconds  Rounded, so that it does not flicker. */
export function duration(seconds) {
  if (seconds < 55) return unit(Math.max(1, Math.ceil(seconds / 5)) * 5, 'second');
  if (seconds < 1.5 * SECONDS_PER_HOUR) return unit(Math.max(1, Math.round(seconds / SECONDS_PER_MINUTE)), 'minute');
  return unit(Math.round(seconds / SECONDS_PER_HOUR), 'hour');
}

/**
 * @param {number} value
 * @param {string} unit
 * @param {Intl.NumberFormatOptions} [options]
 */
function unit(value, unit, options = { unitDisplay: 'long' }) {
  return new Intl.NumberFormat(language, { style: 'unit', unit, ...options }).format(value);
}

/** @param {number} fraction  From 0 to 1. Never rounded up: 100% is all of it. */
export function percent(fraction) {
  return new Intl.NumberFormat(language, { style: 'percent' }).format(Math.floor(fraction * 100) / 100);
}
