import Mustache from 'mustache';
import { Problem } from './tool.js';

export const renderTemplate = {
  name: 'render_template',
  title: 'Render a template',
  description:
    'Fills a Mustache template with data. {{name}} inserts a value as it is (nothing is escaped for HTML), {{#list}}…{{/list}} repeats a ' +
    'section for each item, {{^list}}…{{/list}} shows where there is none.',
  input: {
    type: 'object',
    properties: {
      template: { type: 'string', description: 'The template. Example: "Dear {{name}}, you owe {{amount}}."' },
      data: { type: 'object', description: 'The values by name. Example: {"name": "Ada", "amount": 3}' },
    },
    required: ['template', 'data'],
    additionalProperties: false,
  },

  run({ template, data }) {
    try {
      // Mustache is made for HTML; letters, mails and prompts are not, and `O&#39;Brien` would surprise their readers.
      return Mustache.render(template, data, {}, { escape: String });
    } catch (error) {
      throw new Problem(`The template cannot be used: ${error.message}`);
    }
  },
};
