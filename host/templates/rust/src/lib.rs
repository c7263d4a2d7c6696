//! A tool is a struct: its fields are the arguments, their doc comments are what a model reads about them, and `run` does the work.

mod gatehouse;

use gatehouse::{Call, Level, Stop, Structured, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

gatehouse::plugin!(ReadingTime);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadingTime {
    /// The text. The user is asked for it where it is left out.
    text: Option<String>,
    /// How many words the reader takes in a minute.
    #[serde(default = "usual_pace")]
    #[schemars(range(min = 50, max = 2_000))]
    words_per_minute: u32,
}

fn usual_pace() -> u32 {
    200
}

/// What is asked of the user.
#[derive(Deserialize, JsonSchema)]
struct Missing {
    /// The text to be read.
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Estimate {
    words: u64,
    /// How long it takes to read them, rounded up.
    seconds: u64,
}

impl Tool for ReadingTime {
    const NAME: &str = "reading_time";
    const TITLE: &str = "Reading time";
    const DESCRIPTION: &str = "Counts the words of a text and tells how long a person takes to read them.";

    type Output = Structured<Estimate>;

    fn run(self, call: &Call) -> Result<Structured<Estimate>, Stop> {
        let text = match self.text {
            Some(text) => text,
            None => call.ask::<Missing>("text", "Which text is to be read?")?.text,
        };
        let paragraphs: Vec<_> = text.split("\n\n").collect();
        let mut words = 0;
        for (read, paragraph) in paragraphs.iter().enumerate() {
            words += paragraph.split_whitespace().count() as u64;
            call.progress(read + 1, paragraphs.len(), "counting");
        }
        if words == 0 {
            // For the model: what was wrong, and what would be right.
            return Err("The text has no words: give one that has.".into());
        }
        call.log(Level::Info, &format!("counted {words} words"));
        Ok(Structured(Estimate { words, seconds: (words * 60).div_ceil(self.words_per_minute.into()) }))
    }
}
