//! `gatehouse policy test`: a policy against what is expected of it, in the sandbox and under the limits in which it will decide.

mod credential;
mod format;

use super::{Failed, Settings, output, runtime};
use crate::gateway::{CodeIsKept, make_sandbox};
use clap::{Args, Subcommand};
use format::{Case, Check, ExpectedCall, ExpectedDecision, ExpectedResult, File, Filled, Filtered};
use sandbox::{Decision, Denial, Fault, FilteredCall, PolicyGuest, Question, ResultVerdict, Sandbox, Verdict};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// For each question. A gateway waits for a fraction of it; but a case must not come out otherwise because the machine is busy. What a policy
/// itself uses, processor time and memory, is limited as in a gateway.
const WALL: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a policy against a file of cases, and name those that come out otherwise
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// The policy's component
    file: PathBuf,
    /// The cases (TOML)
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.command {
        Command::Test(test) => run_test(test),
    }
}

fn run_test(test: &Test) -> Result<(), Failed> {
    let unreadable = |path: &PathBuf, error: std::io::Error| Failed::other(format!("{}: {error}", path.display()));
    let component = std::fs::read(&test.file).map_err(|error| unreadable(&test.file, error))?;
    let cases = std::fs::read_to_string(&test.cases).map_err(|error| unreadable(&test.cases, error))?;
    let cases = File::read(&cases).map_err(|error| Failed::other(format!("{}: {error}", test.cases.display())))?;
    let mut config = test.settings.load(None)?;
    config.limits.policies.wall = WALL;
    let wrong = runtime()?.block_on(async {
        let (sandbox, _) = make_sandbox(&config, CodeIsKept::WhereOneIs)?;
        let guest = sandbox.load_policy(component.into()).await;
        let guest = guest.map_err(|error| Failed::other(format!("{}: {error}", test.file.display())))?;
        Ok::<_, Failed>(Tested { sandbox, guest }.all(&cases).await)
    })?;
    let count = cases.count();
    let passed = count.saturating_sub(wrong.len());
    if test.json {
        let wrong: Vec<_> = wrong.iter().map(|(name, what)| json!({ "name": name, "reason": what })).collect();
        output::print(&format!("{:#}\n", json!({ "ok": wrong.is_empty(), "passed": passed, "failed": wrong })));
    } else {
        wrong.iter().for_each(|(name, what)| output::print(&format!("{}: {what}\n", output::bold(name))));
        output::print(&format!("{passed} of {count} cases came out as expected\n"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::shown(1)) }
}

struct Tested {
    sandbox: Arc<Sandbox>,
    guest: PolicyGuest,
}

impl Tested {
    /// What came out otherwise: the case, and how.
    async fn all(&self, file: &File) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut note = |name: &str, outcome: Result<(), String>| wrong.extend(outcome.err().map(|what| (name.to_owned(), what)));
        for case in &file.check {
            note(&case.name, self.check(case, file).await);
        }
        for case in &file.case {
            note(&case.name, self.authorize(case, file).await);
        }
        for case in &file.filter {
            note(&case.name, self.filter(case, file).await);
        }
        for case in &file.credential {
            note(&case.name, self.credential(case, file).await);
        }
        wrong
    }

    async fn taken(&self, settings: String) -> Result<Result<(), String>, String> {
        self.sandbox.check_settings(&self.guest, settings).await.map_err(stopped)
    }

    async fn check(&self, case: &Check, file: &File) -> Result<(), String> {
        let settings = case.fill.settings(&case.settings, case.settings_json.as_deref(), file)?;
        match (self.taken(settings).await?, case.refused) {
            (Ok(()), false) => Ok(()),
            (Ok(()), true) => Err("the settings are taken".to_owned()),
            (Err(text), false) => Err(format!("the settings are refused: {text}")),
            (Err(text), true) => contains_all(&text, &case.says),
        }
    }

    /// The settings of a case, which the policy takes unless the case is about those that it does not.
    async fn settings(
        &self,
        fill: &Filled,
        own: &Option<toml::Table>,
        text: Option<&str>,
        checked: bool,
        file: &File,
    ) -> Result<String, String> {
        let settings = fill.settings(own, text, file)?;
        if checked {
            self.taken(settings.clone()).await?.map_err(|text| format!("the settings are refused: {text}"))?;
        }
        Ok(settings)
    }

    async fn authorize(&self, case: &Case, file: &File) -> Result<(), String> {
        if !self.guest.kinds().authorizes {
            return Err("this policy authorizes nothing".to_owned());
        }
        if case.targets.len() != case.expect.len() {
            return Err(format!("{} targets and {} expectations", case.targets.len(), case.expect.len()));
        }
        let settings = self.settings(&case.fill, &case.settings, case.settings_json.as_deref(), case.checked, file).await?;
        let (mut targets, mut expected) = (Vec::new(), Vec::new());
        for (target, expectation) in case.targets.iter().zip(&case.expect) {
            for number in 0..target.repeat {
                targets.push(case.fill.target(target, (case.action.0, number), &case.server, file));
                expected.push(in_words(*expectation));
            }
        }
        let names: Vec<_> = targets.iter().map(|target| target.name.clone()).collect();
        let question = Question {
            who: case.fill.principal(&case.principal, file),
            what: case.action.0,
            targets,
            arguments: case.fill.json(case.arguments.as_ref(), case.arguments_json.as_deref()),
        };
        let decisions = self.sandbox.authorize(&self.guest, settings, question).await.map_err(stopped)?;
        let (mut missing, mut reasons) = (Vec::new(), Vec::new());
        for ((decision, expected), name) in decisions.iter().zip(expected).zip(names) {
            let (word, denial) = heard(decision);
            if word != expected {
                let reason = denial.map(|denial| denial.reason.as_str()).unwrap_or_default();
                return Err(format!("{}: {word} ({reason}), not {expected}", short(&name)));
            }
            if let Some(denial) = denial {
                missing.extend(denial.missing_scopes.iter().cloned());
                reasons.push(denial.reason.as_str());
            }
        }
        if let Some(wanted) = &case.missing_scopes {
            let sorted = |scopes: &[String]| scopes.iter().cloned().collect::<std::collections::BTreeSet<_>>();
            if sorted(&missing) != sorted(wanted) {
                return Err(format!("missing scopes are {:?}, not {wanted:?}", sorted(&missing)));
            }
        }
        contains_all(&reasons.join("\n"), &case.says)
    }

    async fn filter(&self, case: &Filtered, file: &File) -> Result<(), String> {
        if !self.guest.kinds().filters {
            return Err("this policy filters nothing".to_owned());
        }
        let settings = self.settings(&case.fill, &case.settings, case.settings_json.as_deref(), case.checked, file).await?;
        let call = FilteredCall {
            who: case.fill.principal(&case.principal, file),
            what: case.action.0,
            target: case.fill.target(&case.target, (case.action.0, 0), &case.server, file),
            arguments: case.fill.json(case.arguments.as_ref(), case.arguments_json.as_deref()).unwrap_or_else(|| "{}".to_owned()),
        };
        let mut said = String::new();
        if let Some(expected) = &case.expect_call {
            let verdict = self.sandbox.filter_call(&self.guest, settings.clone(), call.clone()).await.map_err(stopped)?;
            said.push_str(&call_as_expected(&verdict, expected, &case.fill)?);
        }
        if let Some(expected) = &case.expect_result {
            let reply = case.fill.json(case.reply.as_ref(), case.reply_json.as_deref()).ok_or("there is no reply")?;
            let verdict = self.sandbox.filter_result(&self.guest, settings, call, reply).await.map_err(stopped)?;
            said.push_str(&result_as_expected(&verdict, expected, &case.fill)?);
        }
        contains_all(&said, &case.says)?;
        match case.never.iter().find(|text| said.contains(case.fill.text(text).as_str())) {
            Some(text) => Err(format!("{} is in the answer", short(text))),
            None => Ok(()),
        }
    }
}

fn stopped(fault: Fault) -> String {
    format!("it did not come to an answer, which counts as no: {fault}")
}

fn call_as_expected(verdict: &Verdict, expected: &ExpectedCall, fill: &Filled) -> Result<String, String> {
    match (verdict, expected) {
        (Verdict::Proceed, ExpectedCall::Proceed) => Ok(String::new()),
        (Verdict::Deny(denial), ExpectedCall::Deny) => Ok(denial.reason.clone()),
        (Verdict::ProceedWith(arguments), ExpectedCall::With(wanted)) => same(arguments, &fill.value(wanted)),
        _ => Err(format!("the call: {}", short(&format!("{verdict:?}")))),
    }
}

fn result_as_expected(verdict: &ResultVerdict, expected: &ExpectedResult, fill: &Filled) -> Result<String, String> {
    match (verdict, expected) {
        (ResultVerdict::Pass, ExpectedResult::Pass) => Ok(String::new()),
        (ResultVerdict::Withhold(reason), ExpectedResult::Withhold) => Ok(reason.clone()),
        (ResultVerdict::Replace(reply), ExpectedResult::With(replace)) => same(reply, &fill.value(replace)),
        (ResultVerdict::Replace(reply), ExpectedResult::Exactly(replace_json)) => {
            let wanted = fill.text(replace_json);
            if *reply == wanted { Ok(reply.clone()) } else { Err(format!("the result is {}, not {}", short(reply), short(&wanted))) }
        }
        _ => Err(format!("the result: {}", short(&format!("{verdict:?}")))),
    }
}

fn same(found: &str, wanted: &Value) -> Result<String, String> {
    let value: Value = serde_json::from_str(found).map_err(|error| format!("the answer is not JSON: {error}"))?;
    if value == *wanted { Ok(found.to_owned()) } else { Err(format!("it is {}, not {}", short(found), short(&wanted.to_string()))) }
}

fn in_words(decision: ExpectedDecision) -> &'static str {
    match decision {
        ExpectedDecision::Allow => "allow",
        ExpectedDecision::Deny => "deny",
        ExpectedDecision::Abstain => "abstain",
    }
}

fn heard(decision: &Decision) -> (&'static str, Option<&Denial>) {
    match decision {
        Decision::Allow => ("allow", None),
        Decision::Deny(denial) => ("deny", Some(denial)),
        Decision::Abstain => ("abstain", None),
    }
}

fn contains_all(text: &str, wanted: &[String]) -> Result<(), String> {
    match wanted.iter().find(|wanted| !text.contains(wanted.as_str())) {
        Some(wanted) => Err(format!("`{wanted}` is not said in: {}", short(text))),
        None => Ok(()),
    }
}

fn short(text: &str) -> String {
    mcp::text::line(text, 400)
}
