// The functions of `wit/component.wit`. A gateway makes tools of them; nothing here knows of any.

export const reading = {
  readingTime(text, wordsPerMinute) {
    const pace = wordsPerMinute ?? 200;
    const words = text.split(/\s+/).filter((word) => word !== '').length;
    // For the model: what was wrong, and what would be right.
    if (words === 0) throw 'The text has no words: give one that has.';
    if (pace === 0) throw 'Nobody reads no words in a minute: give a pace of 1 or more.';
    return { words, seconds: Math.ceil((words * 60) / pace) };
  },
};
