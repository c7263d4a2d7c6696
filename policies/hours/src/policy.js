// A policy: who may do what at which hours.
//
// A policy is asked with its settings and has no clock, so that equal questions have equal answers. What it knows of the time is in the
// caller's token: when it was issued (`iat`), and for how long it is good (`exp`). clock.js reads that, rules.js reads the settings, and this
// file answers. ../README.md says what that means for an operator.

import { localTime, tokenTime } from './clock.js';
import { fits, isOpen, readRules } from './rules.js';
import { schema } from './schema.js';

export const settings = {
  schema: () => JSON.stringify(schema),

  check(text) {
    const { problems } = readRules(text);
    // The error of a `result` is what is thrown.
    if (problems.length > 0) throw problems.join('\n');
  },
};

export const authorizer = {
  authorize(text, who, what, targets) {
    const { problems, rules } = readRules(text);
    if (problems.length > 0) return targets.map(() => deny('the settings are broken'));

    // The same for every target, and read only if a rule asks for it.
    let moment;
    const decideBy = (rule) => {
      moment ??= tokenTime(rules, who.claims);
      if (moment.problem) return deny(moment.problem);
      const local = localTime(rules, moment.seconds);
      return isOpen(rule, local) ? { tag: rules.inside } : deny('outside of the hours');
    };
    // Many targets have one rule; its answer is worked out once.
    const answers = new Map();
    const ofCaller = rules.rules.filter((rule) => fits(rule.tenants, who.tenant) && fits(rule.subjects, who.subject ?? ''));
    return targets.map((target) => {
      const rule = ofCaller.find((rule) => rule.actions.has(what) && fits(rule.targets, target.name) && fits(rule.servers, target.server));
      if (!rule) return { tag: 'abstain' };
      if (!answers.has(rule)) answers.set(rule, decideBy(rule));
      return answers.get(rule);
    });
  },
};

const deny = (reason) => ({ tag: 'deny', val: { reason, missingScopes: [] } });
