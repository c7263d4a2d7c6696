// JSON from outside.

// QuickJS parses by recursion, and ends the instance where its stack is full.
const DEPTH_MAX = 100;

/** Parses a text; throws for one that is no JSON, and for one that is nested too deep. */
export function parse(text) {
  if (opens(text) > DEPTH_MAX && depth(text) > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX} levels`);
  return JSON.parse(text);
}

// Nothing is nested deeper than it has brackets, and those are found quickly.
function opens(text) {
  let count = 0;
  for (const bracket of ['[', '{']) {
    for (let at = text.indexOf(bracket); at >= 0 && count <= DEPTH_MAX; at = text.indexOf(bracket, at + 1)) count += 1;
  }
  return count;
}

// Brackets within texts do not count, and what is no JSON may get any answer: it fails later.
function depth(text) {
  let [now, most, inText] = [0, 0, false];
  for (let at = 0; at < text.length && most <= DEPTH_MAX; at += 1) {
    const character = text[at];
    if (inText) {
      if (character === '\\') at += 1;
      else if (character === '"') inText = false;
    } else if (character === '"') inText = true;
    else if (character === '[' || character === '{') most = Math.max(most, (now += 1));
    else if (character === ']' || character === '}') now -= 1;
  }
  return most;
}
