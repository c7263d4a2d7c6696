import Papa from 'papaparse';
import { Problem } from './tool.js';

const PROBLEMS_SHOWN = 5;

export const parseCsv = {
  name: 'parse_csv',
  title: 'Parse CSV',
  description:
    'Turns a table in CSV (RFC 4180) into rows: objects named by the first line, or plain arrays where header is false. All values stay text. ' +
    'Empty lines are skipped.',
  input: {
    type: 'object',
    properties: {
      csv: { type: 'string', description: 'The table. Example: "name,age\\nAda,36"' },
      delimiter: { type: 'string', minLength: 1, maxLength: 1, description: 'What stands between two values. Guessed where it is left out.' },
      header: { type: 'boolean', default: true, description: 'Whether the first line holds the names of the columns.' },
    },
    required: ['csv'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      rows: {
        type: 'array',
        description: 'One item for each line.',
        items: {
          anyOf: [
            { type: 'object', additionalProperties: { type: 'string' } },
            { type: 'array', items: { type: 'string' } },
          ],
        },
      },
    },
    required: ['rows'],
  },

  run({ csv, delimiter = '', header = true }) {
    const { data, errors } = Papa.parse(csv, { delimiter, header, skipEmptyLines: true });
    // A table of one column has no delimiter to guess: not a problem.
    const problems = errors.filter(({ type }) => type !== 'Delimiter').sort((a, b) => a.row - b.row);
    if (problems.length > 0) {
      // Rows are counted from zero, and without the header.
      const lines = problems.slice(0, PROBLEMS_SHOWN).map(({ row, message }) => `row ${row + 1}: ${message}`);
      throw new Problem(`The table has ${problems.length} faulty place(s), rows counted ${header ? 'below the header' : 'from the top'}:\n${lines.join('\n')}`);
    }
    return { rows: data };
  },
};
