// The settings as a JSON Schema.

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

export const ACTIONS = [
  'list-tools',
  'call-tool',
  'list-resources',
  'read-resource',
  'list-prompts',
  'get-prompt',
  'complete',
  'subscribe',
];

export const RULES_MAX = 256;
export const PATTERNS_MAX = 256;
export const PATTERN_LENGTH_MAX = 1_024;
export const HOURS_MAX = 24;

// The texts of three settings, which rules.js takes apart with the same expressions.
export const OFFSET = '^[+-](0[0-9]|1[0-4]):[0-5][0-9]$';
export const SPAN = '^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$';

const patterns = (description) => ({
  description: `${description} '*' stands for any characters. All, if it is left out.`,
  type: 'array',
  minItems: 1,
  maxItems: PATTERNS_MAX,
  items: { type: 'string', minLength: 1, maxLength: PATTERN_LENGTH_MAX },
});

export const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Settings of the policy hours',
  type: 'object',
  additionalProperties: false,
  required: ['rules'],
  properties: {
    utc_offset: { description: 'How far local time is ahead of UTC, in winter.', type: 'string', pattern: OFFSET, default: '+00:00' },
    summer_time: { description: 'Whose rule adds an hour in summer.', enum: ['none', 'eu', 'us'], default: 'none' },
    claim: { description: 'The claim that tells the time: when the token was issued, or when its owner logged in.', enum: ['iat', 'auth_time'], default: 'iat' },
    token_minutes_max: {
      description: 'A token must end so many minutes after that time. By so much may an hour be exceeded.',
      type: 'integer',
      minimum: 1,
      maximum: 1_440,
      default: 60,
    },
    inside: { description: 'What is said within the hours.', enum: ['allow', 'abstain'], default: 'allow' },
    rules: {
      description: 'The first that fits counts.',
      type: 'array',
      minItems: 1,
      maxItems: RULES_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['days', 'hours'],
        properties: {
          tenants: patterns('Tenants that it is for.'),
          subjects: patterns('Callers that it is for; one without a name counts as an empty name.'),
          servers: patterns('Virtual servers that it is for.'),
          targets: patterns('Names of tools and prompts, and URIs of resources, that it is for.'),
          actions: { description: 'All, if it is left out.', type: 'array', minItems: 1, items: { enum: ACTIONS } },
          days: { description: 'None: always outside.', type: 'array', items: { enum: DAYS } },
          hours: {
            description: 'From the first minute to before the last. One that ends before it begins ends on the next day.',
            type: 'array',
            minItems: 1,
            maxItems: HOURS_MAX,
            items: { type: 'string', pattern: SPAN },
          },
        },
      },
    },
  },
};
