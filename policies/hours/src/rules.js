// The settings: read for every question, and looked at once when they are loaded.

import { parse } from './json.js';
import { ACTIONS, DAYS, HOURS_MAX, OFFSET, PATTERNS_MAX, PATTERN_LENGTH_MAX, RULES_MAX, SPAN } from './schema.js';

const SETTINGS_LENGTH_MAX = 262_144;
const MINUTES_A_DAY = 1_440;
const PROBLEMS_SHOWN = 20;

/** The settings as they are used, and all that is wrong with them, a line each. */
export function readRules(text) {
  const problems = [];
  const reader = new Reader(problems, '', parseTable(problems, text));
  const rules = {
    offsetMinutes: reader.take('utc_offset', offsetMinutes, "a text as '+01:00'", 0),
    summerTime: reader.word('summer_time', ['none', 'eu', 'us']),
    claim: reader.word('claim', ['iat', 'auth_time']),
    tokenMinutesMax: reader.take('token_minutes_max', (value) => (isWhole(value, 1, 1_440) ? value : undefined), 'a whole number from 1 to 1440', 60),
    inside: reader.word('inside', ['allow', 'abstain']),
    rules: reader.list('rules', RULES_MAX, (item, path) => readRule(problems, item, path)),
  };
  reader.finish();
  if (rules.rules === undefined && problems.length === 0) problems.push('rules is missing');
  rules.rules ??= [];
  if (problems.length > PROBLEMS_SHOWN) {
    const more = problems.length - PROBLEMS_SHOWN;
    problems.splice(PROBLEMS_SHOWN, more, `and ${more} more`);
  }
  return { problems, rules };
}

/** Whether a name is as one of the patterns says; without patterns, always. */
export const fits = (patterns, name) => patterns === undefined || patterns.some((pieces) => fitsPieces(pieces, name));

/** Whether a rule's hours hold a time. */
export function isOpen({ days, spans }, { day, minute }) {
  const yesterday = (day + 6) % 7;
  return spans.some(({ from, to }) => {
    if (from < to) return days.has(day) && minute >= from && minute < to;
    // Through midnight: the second part belongs to the day on which it began.
    return (days.has(day) && minute >= from) || (days.has(yesterday) && minute < to);
  });
}

function parseTable(problems, text) {
  if (text.length > SETTINGS_LENGTH_MAX) {
    problems.push(`the settings have ${text.length} characters; the limit is ${SETTINGS_LENGTH_MAX}`);
    return {};
  }
  try {
    const value = parse(text);
    if (isTable(value)) return value;
    problems.push('the settings are not a table');
  } catch (error) {
    problems.push(`the settings are not JSON: ${error.message}`);
  }
  return {};
}

function readRule(problems, item, path) {
  const reader = new Reader(problems, `${path}.`, item);
  const patterns = (key) => reader.list(key, PATTERNS_MAX, (value) => (isText(value, 1, PATTERN_LENGTH_MAX) ? value.split('*') : undefined), 'a text of 1 to 1024 characters');
  const rule = {
    tenants: patterns('tenants'),
    subjects: patterns('subjects'),
    servers: patterns('servers'),
    targets: patterns('targets'),
    actions: new Set(reader.list('actions', ACTIONS.length, (value) => (ACTIONS.includes(value) ? value : undefined), `one of ${ACTIONS.join(', ')}`) ?? ACTIONS),
    days: new Set(reader.required('days', reader.list('days', DAYS.length, dayNumber, `one of ${DAYS.join(', ')}`, 0)) ?? []),
    spans: reader.required('hours', reader.list('hours', HOURS_MAX, span, "a text as '08:00-17:30', with two different times")) ?? [],
  };
  reader.finish();
  return rule;
}

const isTable = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isText = (value, least, most) => typeof value === 'string' && value.length >= least && value.length <= most;
const isWhole = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;

const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

function offsetMinutes(value) {
  if (typeof value !== 'string' || !new RegExp(OFFSET).test(value)) return undefined;
  return (value[0] === '-' ? -1 : 1) * minutes(value.slice(1));
}

function span(value) {
  if (typeof value !== 'string' || !new RegExp(SPAN).test(value)) return undefined;
  const [from, to] = value.split('-').map(minutes);
  // '08:00-08:00' may be meant as a whole day or as nothing.
  return from === to ? undefined : { from, to: to === 0 ? MINUTES_A_DAY : to };
}

function dayNumber(value) {
  const number = DAYS.indexOf(value);
  return number < 0 ? undefined : number;
}

// A name in the order of the pieces between the stars, each where it first appears: time grows with the name, and not with its square.
function fitsPieces(pieces, name) {
  if (pieces.length === 1) return name === pieces[0];
  const [first, last] = [pieces[0], pieces[pieces.length - 1]];
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  const end = name.length - last.length;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

/** Takes the members of a table one by one, notes what is wrong with them, and at the end which were not asked for. */
class Reader {
  constructor(problems, path, table) {
    Object.assign(this, { problems, path, known: [], table: isTable(table) ? table : {} });
    if (!isTable(table)) this.wrong(path.slice(0, -1), '', table, 'a table');
  }

  take(key, convert, wanted, otherwise) {
    this.known.push(key);
    if (!Object.hasOwn(this.table, key)) return otherwise;
    const converted = convert(this.table[key]);
    if (converted === undefined) this.wrong(this.path, key, this.table[key], wanted);
    return converted ?? otherwise;
  }

  word(key, words) {
    return this.take(key, (value) => (words.includes(value) ? value : undefined), words.map((word) => `'${word}'`).join(' or '), words[0]);
  }

  list(key, countMax, convert, wanted, countMin = 1) {
    const items = this.take(key, (value) => (Array.isArray(value) ? value : undefined), 'a list', undefined);
    if (items === undefined) return undefined;
    if (items.length > countMax || items.length < countMin) {
      this.problems.push(`${this.path}${key} has ${items.length} entries; it can have ${countMin} to ${countMax}`);
      return undefined;
    }
    return items.flatMap((item, at) => {
      const converted = convert(item, `${this.path}${key}[${at}]`);
      if (converted === undefined) this.wrong(this.path, `${key}[${at}]`, item, wanted);
      return converted === undefined ? [] : [converted];
    });
  }

  required(key, value) {
    if (value === undefined && !Object.hasOwn(this.table, key)) this.problems.push(`${this.path}${key} is missing`);
    return value;
  }

  wrong(path, key, value, wanted) {
    this.problems.push(`${path}${key} is ${shown(value)}, not ${wanted}`);
  }

  finish() {
    for (const key of Object.keys(this.table).filter((key) => !this.known.includes(key))) {
      this.problems.push(`${this.path}${shown(key)} is no setting; there are ${this.known.join(', ')}`);
    }
  }
}

function shown(value) {
  if (Array.isArray(value)) return 'a list';
  if (isTable(value)) return 'a table';
  if (typeof value !== 'string') return String(value);
  return `'${value.slice(0, 60).replace(/[^\x20-\x7e]/g, '?')}${value.length > 60 ? '…' : ''}'`;
}
