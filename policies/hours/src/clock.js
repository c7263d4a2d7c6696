// The time, as far as a token tells it.

import { parse } from './json.js';

const SECONDS_A_DAY = 86_400;
const MINUTES_A_DAY = 1_440;
// The end of the year 9999. What lies beyond is a mistake in the token.
const SECONDS_MAX = 253_402_300_799;

/** When the token was issued, in seconds since 1970, or why that says nothing. */
export function tokenTime({ claim, tokenMinutesMax }, claimsText) {
  // An option that holds nothing is null here, and left out where a test calls.
  if (claimsText == null) return { problem: 'the caller has no token that tells the time' };
  let claims;
  try {
    claims = parse(claimsText);
  } catch {
    return { problem: 'the claims are not JSON that can be read' };
  }
  const seconds = moment(claims, claim);
  if (seconds === undefined) return { problem: `the token has no time in '${claim}'` };
  const until = moment(claims, 'exp');
  if (until === undefined) return { problem: "the token has no end ('exp')" };
  // A token that is good for a day would carry nine o'clock into the night.
  if (until - seconds > tokenMinutesMax * 60) return { problem: `the token is good for longer than ${tokenMinutesMax} minutes` };
  if (until < seconds) return { problem: 'the token ended before it began' };
  return { seconds };
}

// Own members only: `claims` comes from outside, and may be anything that JSON can be.
function moment(claims, name) {
  if (claims === null || typeof claims !== 'object' || !Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  return typeof value === 'number' && value >= 0 && value <= SECONDS_MAX ? Math.floor(value) : undefined;
}

/** Day of the week (Monday is 0) and minute of the day where the operator is. */
export function localTime({ offsetMinutes, summerTime }, seconds) {
  const summer = SUMMER_TIMES[summerTime](seconds, offsetMinutes) ? 60 : 0;
  const local = Math.floor(seconds / 60) + offsetMinutes + summer;
  const day = Math.floor(local / MINUTES_A_DAY);
  // The first of January 1970 was a Thursday.
  return { day: modulo(day + 3, 7), minute: modulo(local, MINUTES_A_DAY) };
}

/** Whether an hour is added, by the rules in force since 1996 (European Union) and 2007 (United States). */
export const SUMMER_TIMES = {
  none: () => false,

  // From the last Sunday of March to the last of October, at one o'clock UTC everywhere.
  eu(seconds) {
    const year = yearOf(seconds);
    return seconds >= lastSunday(year, 3) + 3_600 && seconds < lastSunday(year, 10) + 3_600;
  },

  // From the second Sunday of March to the first of November, at two o'clock of the time that is in force.
  us(seconds, offsetMinutes) {
    const year = yearOf(seconds + offsetMinutes * 60);
    const offset = offsetMinutes * 60;
    return seconds >= sundayFrom(year, 3, 8) + 7_200 - offset && seconds < sundayFrom(year, 11, 1) + 3_600 - offset;
  },
};

const yearOf = (seconds) => new Date(seconds * 1_000).getUTCFullYear();

// Both months have 31 days.
const lastSunday = (year, month) => sundayFrom(year, month, 25);

function sundayFrom(year, month, date) {
  const seconds = Date.UTC(year, month - 1, date) / 1_000;
  const weekday = modulo(Math.floor(seconds / SECONDS_A_DAY) + 4, 7);
  return seconds + modulo(-weekday, 7) * SECONDS_A_DAY;
}

const modulo = (value, by) => ((value % by) + by) % by;
