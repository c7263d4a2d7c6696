//! The three tools of the table of languages, in Rust: see tests/languages/README.md.

mod gatehouse;

use gatehouse::{Call, Stop, Structured, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

gatehouse::plugin!(Count, Ask, Variable);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    /// How many steps.
    #[schemars(range(min = 0, max = 1_000))]
    n: u32,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    count: u32,
}

impl Tool for Count {
    const NAME: &str = "count";
    const TITLE: &str = "Count";
    const DESCRIPTION: &str = "Counts to a number, and tells how far it has come.";

    type Output = Structured<Counted>;

    fn run(self, call: &Call) -> Result<Structured<Counted>, Stop> {
        let mut count = 0;
        while count < self.n {
            count += 1;
            call.progress(count as usize, self.n as usize, "counting");
        }
        Ok(Structured(Counted { count }))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ask {}

/// What is asked of the user.
#[derive(Deserialize, JsonSchema)]
struct Form {
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Named {
    name: String,
}

impl Tool for Ask {
    const NAME: &str = "ask";
    const TITLE: &str = "Ask";
    const DESCRIPTION: &str = "Asks the user for a name.";

    type Output = Structured<Named>;

    fn run(self, call: &Call) -> Result<Structured<Named>, Stop> {
        let Form { name } = call.ask("name", "What is your name?")?;
        Ok(Structured(Named { name }))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Variable {}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    greeting: String,
}

impl Tool for Variable {
    const NAME: &str = "variable";
    const TITLE: &str = "Variable";
    const DESCRIPTION: &str = "Reads the variable GREETING.";

    type Output = Structured<Greeting>;

    fn run(self, _: &Call) -> Result<Structured<Greeting>, Stop> {
        let greeting = std::env::var("GREETING").map_err(|_| "The variable GREETING is not granted.")?;
        Ok(Structured(Greeting { greeting }))
    }
}
