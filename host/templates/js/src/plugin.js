// A tool is an object: what clients are told about it, and a function that does the work.

import { plugin, Problem } from './gatehouse.js';

const readingTime = {
  name: 'reading_time',
  title: 'Reading time',
  description: 'Counts the words of a text and tells how long a person takes to read them.',
  input: {
    type: 'object',
    properties: {
      text: { type: 'string', description: 'The text. The user is asked for it where it is left out.' },
      words_per_minute: {
        type: 'integer',
        minimum: 50,
        maximum: 2000,
        default: 200,
        description: 'How many words the reader takes in a minute.',
      },
    },
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      words: { type: 'integer', minimum: 0 },
      seconds: { type: 'integer', minimum: 0, description: 'How long it takes to read them, rounded up.' },
    },
    required: ['words', 'seconds'],
  },

  run({ text, words_per_minute: pace = 200 }, call) {
    if (text === undefined) {
      const form = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
      text = String(call.ask('text', 'Which text is to be read?', form).text);
    }
    const paragraphs = text.split('\n\n');
    let words = 0;
    paragraphs.forEach((paragraph, read) => {
      words += paragraph.split(/\s+/).filter((word) => word !== '').length;
      call.progress(read + 1, paragraphs.length, 'counting');
    });
    // For the model: what was wrong, and what would be right.
    if (words === 0) throw new Problem('The text has no words: give one that has.');
    call.log('info', `counted ${words} words`);
    return { words, seconds: Math.ceil((words * 60) / pace) };
  },
};

export const tools = plugin(readingTime);
