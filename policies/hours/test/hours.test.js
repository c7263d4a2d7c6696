// What the cases do not reach: the calendar, and settings that are taken apart. `npm test`, or `node --test`.

import assert from 'node:assert/strict';
import test from 'node:test';
import { localTime, tokenTime } from '../src/clock.js';
import { parse } from '../src/json.js';
import { fits, isOpen, readRules } from '../src/rules.js';

const seconds = (text) => Date.parse(text) / 1_000;
const at = (text, offsetMinutes, summerTime) => {
  const { day, minute } = localTime({ offsetMinutes, summerTime }, seconds(text));
  const two = (value) => String(value).padStart(2, '0');
  return `${['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'][day]} ${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
};

test('days and minutes', () => {
  assert.equal(at('1970-01-01T00:00:00Z', 0, 'none'), 'thu 00:00');
  assert.equal(at('1970-01-01T00:00:00Z', -60, 'none'), 'wed 23:00');
  assert.equal(at('2026-11-22T23:30:00Z', 60, 'none'), 'mon 00:30');
  assert.equal(at('2024-02-29T12:00:59Z', 330, 'none'), 'thu 17:30');
});

test('summer time of the European Union', () => {
  assert.equal(at('2026-03-29T00:59:59Z', 60, 'eu'), 'sun 01:59');
  assert.equal(at('2026-03-29T01:00:00Z', 60, 'eu'), 'sun 03:00');
  assert.equal(at('2026-10-25T00:59:59Z', 60, 'eu'), 'sun 02:59');
  assert.equal(at('2026-10-25T01:00:00Z', 60, 'eu'), 'sun 02:00');
  assert.equal(at('2024-03-31T01:00:00Z', 0, 'eu'), 'sun 02:00');
  assert.equal(at('2026-07-01T00:00:00Z', 60, 'eu'), 'wed 02:00');
});

test('summer time of the United States', () => {
  assert.equal(at('2026-03-08T06:59:59Z', -300, 'us'), 'sun 01:59');
  assert.equal(at('2026-03-08T07:00:00Z', -300, 'us'), 'sun 03:00');
  assert.equal(at('2026-11-01T05:59:59Z', -300, 'us'), 'sun 01:59');
  assert.equal(at('2026-11-01T06:00:00Z', -300, 'us'), 'sun 01:00');
  assert.equal(at('2026-01-01T02:00:00Z', -300, 'us'), 'wed 21:00');
});

test('a day agrees with the calendar, for thirty years', () => {
  for (let day = 0; day < 11_000; day += 7) {
    const moment = new Date((1_000_000_000 + day * 86_400) * 1_000);
    assert.equal(localTime({ offsetMinutes: 0, summerTime: 'none' }, moment / 1_000).day, (moment.getUTCDay() + 6) % 7);
  }
});

test('a token tells the time, or why not', () => {
  const read = (claims) => tokenTime({ claim: 'iat', tokenMinutesMax: 60 }, claims === undefined ? undefined : typeof claims === 'string' ? claims : JSON.stringify(claims));
  assert.deepEqual(read({ iat: 1000.9, exp: 4600 }), { seconds: 1000 });
  for (const claims of [undefined, '{', 'null', '[]', '3', '"iat"', {}, { iat: 1 }, { iat: '1', exp: 2 }, { iat: -1, exp: 2 }, { iat: 1e300, exp: 1e300 }]) {
    assert.ok(read(claims).problem, JSON.stringify(claims));
  }
  assert.match(read({ iat: 0, exp: 3601 }).problem, /longer than 60 minutes/);
  assert.match(read({ iat: 10, exp: 9 }).problem, /ended before/);
  assert.match(read('{"__proto__": {"iat": 1, "exp": 2}}').problem, /no time in 'iat'/);
});

test('hours, through midnight too', () => {
  const rule = (days, ...hours) => readRules(JSON.stringify({ rules: [{ days, hours }] })).rules.rules[0];
  const open = (rule, day, time) => isOpen(rule, { day, minute: Number(time.slice(0, 2)) * 60 + Number(time.slice(3)) });
  const office = rule(['mon'], '08:00-12:00', '13:00-17:30');
  for (const [time, expected] of [['07:59', false], ['08:00', true], ['11:59', true], ['12:00', false], ['17:29', true], ['17:30', false]]) {
    assert.equal(open(office, 0, time), expected, time);
  }
  assert.equal(open(office, 1, '09:00'), false);
  const night = rule(['sun'], '22:00-06:00');
  for (const [day, time, expected] of [[6, '21:59', false], [6, '22:00', true], [0, '05:59', true], [0, '06:00', false], [0, '22:00', false], [6, '03:00', false]]) {
    assert.equal(open(night, day, time), expected, `${day} ${time}`);
  }
  assert.equal(open(rule(['mon'], '00:00-24:00'), 0, '23:59'), true);
  assert.equal(open(rule(['mon'], '22:00-00:00'), 0, '23:59'), true);
  assert.equal(open(rule(['mon'], '22:00-00:00'), 1, '00:00'), false);
  assert.equal(open(rule([], '00:00-24:00'), 0, '12:00'), false);
});

test('patterns', () => {
  const pattern = (text) => [text.split('*')];
  for (const [text, name, expected] of [['*', '', true], ['a*b*c', 'aXbYc', true], ['aa*aa', 'aaa', false], ['a', 'A', false], ['a*', '*', false], ['**', 'x', true], ['a*b', 'ab', true]]) {
    assert.equal(fits(pattern(text), name), expected, `${text} ${name}`);
  }
  assert.equal(fits(undefined, 'x'), true);
  assert.equal(fits(pattern('a*'.repeat(500) + 'b'), 'a'.repeat(100_000)), false);
});

test('depth of JSON', () => {
  const nested = (levels) => '['.repeat(levels) + ']'.repeat(levels);
  assert.deepEqual(parse(nested(1)), []);
  assert.ok(parse(nested(100)));
  assert.throws(() => parse(nested(101)), /deeper than 100/);
  assert.throws(() => parse('{"a":'.repeat(200_000)), /deeper than 100/);
  assert.equal(parse(`"${'[{'.repeat(1_000)}"`).length, 2_000);
  assert.equal(parse(`["\\"${'['.repeat(500)}"]`)[0].length, 501);
  assert.equal(parse(`[${'[],'.repeat(1_000)}[]]`).length, 1_001);
  assert.throws(() => parse('{"a": '), SyntaxError);
});
